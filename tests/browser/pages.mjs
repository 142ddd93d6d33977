// The pages in a real browser: what a worker with a cheap phone and an office see.
//
// BASE_URL         where the gateway listens
// WORKER_LINK      a worker's link with at least three offers to answer
// OFFICE_ID, OFFICE_SECRET   an office's login, best with hires in its region
// CHROMIUM         the browser, /usr/bin/chromium if not said
// SHOTS            a folder for screenshots; none are made without it
//
// `npm ci`, then `node pages.mjs`. It answers three of the worker's offers.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { BASE_URL, WORKER_LINK, OFFICE_ID, OFFICE_SECRET, SHOTS } = process.env;
for (const name of ["BASE_URL", "WORKER_LINK", "OFFICE_ID", "OFFICE_SECRET"]) {
  if (!process.env[name]) {
    console.error(`${name} is not set; the head of this file says what it is`);
    process.exit(2);
  }
}
const MOST_BYTES = 30 * 1024;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let [passed, failed] = [0, 0];

function assert(holds, what) {
  if (!holds) throw new Error(what);
}

// One case, in a browser of its own.
async function check(name, options, work) {
  const context = await browser.newContext({ viewport: { width: 320, height: 640 }, ...options });
  const page = await context.newPage();
  const refused = [];
  page.on("console", (m) => /Content Security Policy/.test(m.text()) && refused.push(m.text()));
  try {
    await work(page, context);
    assert(refused.length === 0, `the policy refused: ${refused[0]}`);
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message.split("\n").slice(0, 4).join(" | ")}`);
  } finally {
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name.replaceAll(/\W+/g, "-")}.png`, fullPage: true }).catch(() => {});
    await context.close();
  }
}

// What came over the wire for everything that the page needs.
async function opened(page, url) {
  const finished = [];
  page.on("requestfinished", (request) => finished.push(request));
  // A page that hears of news keeps a line open, so that the network is never idle.
  const response = await page.goto(url, { waitUntil: "load" });
  await page.waitForTimeout(500);
  const sizes = await Promise.all(finished.map((request) => request.sizes()));
  const bytes = sizes.reduce((sum, s) => sum + s.responseBodySize + s.responseHeadersSize, 0);
  return { status: response.status(), bytes, requests: finished.length };
}

async function fitsTheScreen(page) {
  const [wide, screen] = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
  assert(wide <= screen, `${wide} px wide on a screen of ${screen}`);
}

// Findings of axe, of any weight. The page is opened once more in a browser that
// runs scripts; axe runs in the devtools' own world, which the content security
// policy does not reach.
async function accessible(page) {
  const context = await browser.newContext({ viewport: page.viewportSize(), storageState: await page.context().storageState() });
  try {
    const again = await context.newPage();
    await again.goto(page.url());
    await again.$$eval("details", (all) => all.forEach((d) => (d.open = true)));
    const session = await context.newCDPSession(again);
    const { frameTree } = await session.send("Page.getFrameTree");
    const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
    const expression = `${axe}; axe.run(document).then(r => JSON.stringify(r.violations))`;
    const { result } = await session.send("Runtime.evaluate", { expression, contextId: world.executionContextId, awaitPromise: true });
    const said = JSON.parse(result.value).map((v) => `${v.id} (${v.impact}): ${v.nodes[0].html.slice(0, 120)}`);
    assert(said.length === 0, `axe: ${said.join("; ")}`);
  } finally {
    await context.close();
  }
}

async function logIn(page, path = "/office") {
  await page.goto(BASE_URL + path);
  await page.fill("#id", OFFICE_ID);
  await page.fill("#secret", OFFICE_SECRET);
  await page.click("form .yes");
}

const number = (text) => Number(text.replaceAll(",", "").split("(")[0]);

const withoutScripts = { javaScriptEnabled: false };
for (const lang of ["zh", "en"]) {
  await check(`the worker's page in ${lang} fits a small screen, is light and reads well`, {}, async (page) => {
    const { status, bytes, requests } = await opened(page, `${WORKER_LINK}?lang=${lang}`);
    assert(status === 200, `status ${status}`);
    assert(bytes < MOST_BYTES, `${bytes} bytes`);
    console.log(`     ${bytes} bytes in ${requests} request(s)`);
    assert((await page.getAttribute("html", "lang")).startsWith(lang), "the language is not said");
    await fitsTheScreen(page);
    const small = await page.$$eval("button, select, summary, a.button, .check", (all) =>
      all.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 48).map((e) => e.textContent.trim().slice(0, 30)));
    assert(small.length === 0, `lower than 48 px: ${small}`);
    const size = await page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)");
    assert(size >= 18, `type of ${size} px`);
    await page.$$eval("details", (all) => all.forEach((d) => (d.open = true)));
    await fitsTheScreen(page);
    await accessible(page);
  });
}

await check("the worker's page works without scripts, an accept is told", withoutScripts, async (page) => {
  await page.goto(WORKER_LINK);
  await fitsTheScreen(page);
  const offer = page.locator("article:has(.yes)").first();
  const title = (await offer.locator("h3").textContent()).trim();
  await offer.locator(".yes").click();
  assert(/done=(accepted|waitlisted)/.test(page.url()), `at ${new URL(page.url()).search}`);
  assert((await page.textContent("[role=status]")).length > 5, "no notice");
  assert((await page.locator("article.done h3").allTextContents()).some((t) => t.trim() === title), "the offer is not among the answered");
  await fitsTheScreen(page);
});

await check("a decline with a reason is told", withoutScripts, async (page) => {
  await page.goto(WORKER_LINK);
  const offer = page.locator("article:has(.yes)").first();
  await offer.locator("select").selectOption("far");
  await offer.locator("button[formaction]").click();
  assert(page.url().includes("done=declined"), `at ${new URL(page.url()).search}`);
  await accessible(page);
});

await check("what happens elsewhere shows without a reload, unless something is being typed", {}, async (page, context) => {
  await page.goto(WORKER_LINK);
  const answered = await page.locator("article.done").count();
  const elsewhere = await context.newPage();
  await elsewhere.goto(WORKER_LINK);
  await elsewhere.click("article.done details > summary");
  await page.bringToFront();
  const renewed = page.waitForEvent("framenavigated", { timeout: 20000 });
  await elsewhere.locator("article.done details button").first().click();
  assert(elsewhere.url().includes("done=given_back"), `at ${new URL(elsewhere.url()).search}`);
  await renewed;
  await page.locator("article.done").nth(answered - 1).waitFor();
  await page.click("details:has(#complaint) > summary");
  await page.fill("#complaint", "他们要收押金");
  const offer = elsewhere.locator("article:has(.yes)").first();
  if ((await offer.count()) > 0) {
    await offer.locator("button[formaction]").click();
    await page.waitForSelector("#news:not([hidden])", { timeout: 20000 });
    assert((await page.inputValue("#complaint")) === "他们要收押金", "what was typed is lost");
    await fitsTheScreen(page);
  }
});

await check("a complaint is taken", withoutScripts, async (page) => {
  await page.goto(WORKER_LINK);
  await page.click("details:has(#complaint) > summary");
  await page.fill("#complaint", "工资比说好的少");
  await page.click("form:has(#complaint) .yes");
  assert(page.url().includes("done=complained"), `at ${new URL(page.url()).search}`);
  await fitsTheScreen(page);
});

await check("wishes are kept, and pausing is undone", withoutScripts, async (page) => {
  await page.goto(WORKER_LINK);
  await page.click("details:has(#pay) > summary");
  const before = await page.inputValue("#pay");
  await page.fill("#pay", "1234");
  await page.click("form:has(#pay) .yes");
  assert((await page.inputValue("#pay")) === "1234", "the pay is not kept");
  await page.fill("#pay", before);
  await page.click("form:has(#pay) .yes");
  for (const code of ["paused", "resumed"]) {
    await page.click("form:has(input[name=paused]) button");
    assert(page.url().includes(`done=${code}`), `at ${new URL(page.url()).search}`);
  }
});

await check("erasing asks before it does anything", withoutScripts, async (page) => {
  await page.goto(WORKER_LINK);
  await page.click("a[href*='erase']");
  assert(await page.isVisible(".danger"), "nothing asks");
  await fitsTheScreen(page);
  await accessible(page);
  await page.click("a.button");
  assert((await page.title()).length > 0 && page.url().startsWith(WORKER_LINK), "no way back");
});

await check("a bad link is a page of its own that says what to do", {}, async (page) => {
  const { status, bytes } = await opened(page, `${BASE_URL}/w/not-a-link-of-anybody`);
  assert(status === 404, `status ${status}`);
  assert((await page.textContent("main")).includes("村干部"), "it does not say what to do");
  assert(bytes < MOST_BYTES, `${bytes} bytes`);
  await fitsTheScreen(page);
  await accessible(page);
});

await check("an office logs in and out, and a wrong secret tells nothing", withoutScripts, async (page) => {
  await page.goto(`${BASE_URL}/office/report?period=2020`);
  await accessible(page);
  await page.fill("#id", OFFICE_ID);
  await page.fill("#secret", "wrong");
  await page.click("form .yes");
  assert(await page.isVisible("[role=alert]"), "the refusal is not told");
  await page.fill("#id", OFFICE_ID);
  await page.fill("#secret", OFFICE_SECRET);
  await page.click("form .yes");
  assert(page.url().endsWith("/office/report?period=2020"), `the address is lost: ${page.url()}`);
  const cookie = (await page.context().cookies(`${BASE_URL}/office`))[0];
  assert(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.path === "/office", JSON.stringify({ ...cookie, value: "" }));
  await fitsTheScreen(page);
  await page.click("form[action*=logout] button");
  assert(await page.isVisible("#secret"), "still inside");
  await page.goto(`${BASE_URL}/office/report?period=2020`);
  assert(await page.isVisible("#secret"), "the session outlives the logout");
});

await check("the office's filters stand in the address and survive a reload", { viewport: { width: 1280, height: 900 } }, async (page) => {
  await logIn(page, "/office/report");
  await page.selectOption("#by", "flow");
  await page.selectOption("#axis", "work");
  await Promise.all([page.waitForURL(/by=flow/), page.click(".filters button")]);
  const asked = new URL(page.url()).searchParams;
  assert(asked.get("by") === "flow" && asked.get("axis") === "work", page.url());
  await page.reload();
  assert((await page.inputValue("#by")) === "flow", "the filter is lost");
  assert((await page.locator("thead th").allTextContents()).length > 10, "no table");
  await page.click(".who a");
  assert((await page.getAttribute("html", "lang")) === "en" && (await page.inputValue("#by")) === "flow", "English loses the question");
  await page.click(".who a");
  assert((await page.getAttribute("html", "lang")) === "zh-CN", "no way back to Chinese");
  const csv = await page.request.get(await page.locator("a[href*='report.csv']").evaluate((a) => a.href));
  assert(csv.status() === 200 && (await csv.text()).includes("region,name,flow"), "the file is not that of the page");
});

for (const lang of ["zh", "en"]) {
  await check(`the office's table in ${lang} sums to its totals and agrees with its chart`, { viewport: { width: 1280, height: 900 } }, async (page) => {
    await logIn(page, `/office/report?lang=${lang}`);
    await page.goto(page.url().replace(/period=[^&]*/, "").concat("&period=2020").replace("?&", "?").replace(/report&/, "report?"));
    const names = await page.$$eval("thead th", (all) => all.map((th) => th.dataset.name));
    const lines = (where) => page.$$eval(`${where} tr`, (all) => all.map((tr) => [...tr.children].map((c) => c.textContent)));
    const [rows, [totals]] = [await lines("tbody"), await lines("tfoot")];
    const summed = ["total", "out_of_province", "in_province", "in_county", "in_place", "confirmed", "unconfirmed", "awaiting_start", "new"];
    for (const name of summed) {
      const at = names.indexOf(name);
      const sum = rows.filter((r) => r.length === names.length).reduce((n, r) => n + number(r[at]), 0);
      assert(sum === number(totals[at]), `${name}: rows ${sum}, total ${totals[at]}`);
    }
    const of = (row, name) => number(row[names.indexOf(name)]);
    for (const row of [...rows.filter((r) => r.length === names.length), totals]) {
      const parts = of(row, "out_of_province") + of(row, "in_province") + of(row, "in_county");
      assert(parts === of(row, "total"), `${row[1]}: ${parts} of ${of(row, "total")}`);
    }
    const drawn = await page.$$eval("svg[role=img] g", (all) => all.map((g) => g.lastElementChild.textContent));
    const working = rows.filter((r) => r.length === names.length && of(r, "total") > 0).map((r) => r[names.indexOf("total")]);
    assert(drawn.length === Math.min(40, working.length), `${drawn.length} bars of ${working.length} rows`);
    if (working.length <= 40) assert(drawn.join() === working.join(), "a bar has another figure than its row");
    console.log(`     ${rows.length} row(s), total ${totals[names.indexOf("total")]}`);
    await accessible(page);
  });
}

await check("the office's page fits a phone and prints on A4", { viewport: { width: 360, height: 740 } }, async (page) => {
  await logIn(page, "/office/report");
  await fitsTheScreen(page);
  await page.emulateMedia({ media: "print" });
  assert(!(await page.isVisible(".filters")), "the filters are printed");
  assert((await page.pdf({ preferCSSPageSize: true })).length > 5000, "nothing is printed");
});

const desks = ["", "/report", "/trend", "/map", "/flows", "/platforms", "/approvals", "/fairness", "/people", "/import", "/alerts"];
for (const [lang, width] of [["zh", 360], ["en", 1280]]) {
  for (const desk of desks) {
    await check(`the office's page${desk} in ${lang} fits ${width} px, reads well and prints`, { ...withoutScripts, viewport: { width, height: 900 } }, async (page) => {
      await logIn(page);
      const { status } = await opened(page, `${BASE_URL}/office${desk}?lang=${lang}`);
      assert(status === 200, `status ${status}`);
      assert((await page.locator("nav.pages a").count()) === desks.length, "no navigation");
      await fitsTheScreen(page);
      // Else what is hidden from sight in a wide table widens the page.
      const loose = await page.$$eval(".wide", (all) => all.filter((e) => getComputedStyle(e).position === "static").length);
      assert(loose === 0, `${loose} wide table(s) do not hold what stands in them`);
      await accessible(page);
      await page.emulateMedia({ media: "print" });
      assert(!(await page.isVisible("nav.pages")), "the navigation is printed");
      const forms = await page.$$eval("form, .noprint", (all) => all.filter((e) => e.offsetParent).length);
      assert(forms === 0, `${forms} form(s) are printed`);
      assert(await page.isVisible(".who span"), "the paper does not say whose it is");
      // The width of A4 across, less its margins.
      await page.setViewportSize({ width: 1047, height: 718 });
      const cut = await page.$$eval("table, svg", (all) => all.filter((e) => e.getBoundingClientRect().right > 1048).length);
      assert(cut === 0, `${cut} table(s) or drawing(s) are cut on paper`);
    });
  }
}

await check("the map's tiles have the figures of the table beside them", { viewport: { width: 1280, height: 900 } }, async (page) => {
  await logIn(page);
  await page.goto(`${BASE_URL}/office/map?period=2020`);
  const drawn = await page.$$eval("svg.tiles g", (all) => all.map((g) => g.lastElementChild.textContent));
  const told = await page.$$eval("tbody tr", (all) => all.map((tr) => tr.lastElementChild.textContent));
  assert(drawn.length > 0 && [...drawn].sort().join() === [...told].sort().join(), `${drawn.length} tiles, ${told.length} rows`);
  await page.selectOption("#show", "new");
  await Promise.all([page.waitForURL(/show=new/), page.click(".filters button")]);
  assert((await page.inputValue("#show")) === "new", "the filter is lost");
});

await check("the overview's figures lead to pages with the same figures", { viewport: { width: 1280, height: 900 } }, async (page) => {
  await logIn(page);
  const figures = page.locator("dl.figures dd > a");
  const [working, fresh] = [await figures.nth(0).textContent(), await figures.nth(1).textContent()];
  const open = await figures.nth(3).textContent();
  assert(number(working) > 0, `${working} at work`);
  await figures.nth(0).click();
  const names = await page.$$eval("thead th", (all) => all.map((th) => th.dataset.name));
  const totals = await page.$$eval("tfoot tr > *", (all) => all.map((cell) => cell.textContent));
  assert(totals[names.indexOf("total")] === working && totals[names.indexOf("new")] === fresh, `the report says ${totals}`);
  await page.goBack();
  await figures.nth(1).click();
  assert((await page.textContent("tfoot td:last-child")) === fresh, "the map has another figure");
  await page.goBack();
  await figures.nth(2).click();
  assert((await page.locator("tbody tr:last-child td").first().textContent()) === working, "the trend has another figure");
  await page.goBack();
  await figures.nth(3).click();
  assert((await page.textContent("main > p.small")).includes(open), "there are other alerts");
});

await check("the trend is drawn from its table, and its filters stand in the address", { viewport: { width: 1280, height: 900 } }, async (page) => {
  await logIn(page, "/office/trend");
  await page.selectOption("#months", "25");
  await page.selectOption("#show", "new");
  await page.selectOption("#tier", "not_lifted");
  await Promise.all([page.waitForURL(/months=25/), page.click(".filters button")]);
  const asked = new URL(page.url()).searchParams;
  assert(asked.get("show") === "new" && asked.get("tier") === "not_lifted", page.url());
  const rows = await page.$$eval("tbody tr", (all) => all.map((tr) => [tr.children[0].textContent, tr.children[1].textContent]));
  const drawn = await page.$$eval("svg.line circle title", (all) => all.map((t) => t.textContent.split("：")));
  assert(rows.length === 25 && JSON.stringify(rows) === JSON.stringify(drawn), `${rows.length} rows, ${drawn.length} points`);
  await Promise.all([page.waitForURL(/report/), page.locator("nav.pages a").nth(1).click()]);
  assert(page.url().includes("period="), "the way to the report loses the period");
});

await check("the matrix scrolls in its own box on a phone, by keys too, and adds up", { viewport: { width: 360, height: 740 } }, async (page) => {
  await logIn(page, "/office/flows");
  await fitsTheScreen(page);
  const box = page.locator(".wide:has(table.matrix)");
  const [inner, outer] = await box.evaluate((e) => [e.scrollWidth, e.clientWidth]);
  assert(inner > outer, `${inner} px in a box of ${outer}`);
  await box.focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((e) => e.scrollLeft > 0, await box.elementHandle());
  const rows = await box.locator("tbody tr").evaluateAll((all) => all.map((tr) => [...tr.querySelectorAll("td")].map((td) => td.firstChild.textContent)));
  const sums = await box.locator("tfoot td").allTextContents();
  const works = sums.length - 5;
  for (const row of rows) {
    const sum = row.slice(0, works).reduce((n, text) => n + number(text), 0);
    assert(sum === number(row[works]), `a row of ${sum} says ${row[works]}`);
  }
  for (let at = 0; at < sums.length; at += 1) {
    const sum = rows.reduce((n, row) => n + number(row[at]), 0);
    assert(sum === number(sums[at]), `column ${at} of ${sum} says ${sums[at]}`);
  }
});

await check("a person's file shows what is masked only for a reason", withoutScripts, async (page) => {
  await logIn(page, "/office/people");
  await page.locator("tbody a").first().click();
  await page.waitForURL(/people\/[0-9a-f-]+/);
  await fitsTheScreen(page);
  await accessible(page);
  await page.check("input[value=name]");
  await page.fill("#reason", "核对");
  await page.click("form:has(#reason) button");
  assert(await page.isVisible("[role=status]"), "nothing is revealed");
  assert(!page.url().includes("reason"), "the reason stands in the address");
});

await check("a registry file is taken in and its bad rows are told", withoutScripts, async (page) => {
  await logIn(page, "/office/import");
  const buffer = Buffer.from("id_number,name,phone,home_region,consent\n1,x,13800000000,522601,2020-01-01\n");
  await page.setInputFiles("#file", { name: "registry.csv", mimeType: "text/csv", buffer });
  await page.click("form:has(#file) button");
  assert(await page.isVisible("[role=status]"), "no result");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("a[download]")]);
  assert((await readFile(await download.path(), "utf8")).includes("id_number_invalid"), "the file lacks the row");
  await fitsTheScreen(page);
});

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
