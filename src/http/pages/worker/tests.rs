use super::*;
use crate::domain::id::{OfferId, PostingId};
use crate::domain::offer::Reason;
use crate::domain::posting::Status;
use crate::store::postings::Seats;
use crate::store::workers::WorkerFile;
use actix_web::body::MessageBody;
use actix_web::test::TestRequest;
use serde_json::json;

fn now() -> Moment {
    Moment::parse("2020-06-02T09:30:00+08:00").unwrap()
}

fn worker() -> WorkerFile {
    WorkerFile {
        id: WorkerId::new(uuid::Uuid::from_u128(7)),
        name_masked: "虚**".to_owned(),
        phone_masked: "100******01".to_owned(),
        id_masked: String::new(),
        seeker: crate::domain::eligibility::tests::seeker(),
        relocated: false,
        consent_on: None,
        registered_at: now(),
        version: 1,
    }
}

fn offer(n: u128, state: OfferState, title: &str, pay: &str) -> (Offer, Posting) {
    let record = json!({
        "source_id": format!("P-{n}"), "title": title, "job_location": {"text": "广东省东莞市长安镇", "region": "441900"},
        "hiring_organization": {"name": "示例仓储物流服务有限公司", "kind": "platform"}, "base_salary": {"text": pay},
        "job_benefits": ["lodging", "meals", "transport", "training"], "date_posted": "2020-06-01",
    });
    let content = crate::domain::normalize::posting(&record, now().day()).unwrap();
    let reason = |text: &str| Reason { code: "new".to_owned(), text: text.to_owned() };
    let (offer, posting) = (OfferId::new(uuid::Uuid::from_u128(n)), PostingId::new(uuid::Uuid::from_u128(n)));
    let o = Offer {
        id: offer,
        posting,
        worker: worker().id,
        platform: "meituan".to_owned(),
        title: title.to_owned(),
        state,
        wave: 1,
        grounds: json!([
            reason("帮扶对象：未脱贫"),
            reason("家乡属于重点地区：2020年挂牌督战52县"),
            reason("已求职 120 天"),
            reason("在您愿意去的广东省"),
            reason("月薪可达 7500 元，比您的最低要求高 4500 元"),
        ])
        .to_string(),
        offered_at: now(),
        expires_at: now().plus(std::time::Duration::from_secs(72 * 3600)),
        promoted: false,
        share_contact: true,
        accepted_at: None,
        position: (state == OfferState::Waitlisted).then_some(3),
        answered_by: None,
        method: None,
        reason: None,
    };
    let seats = Seats { openings: 1, declared: 1, taken: 0 };
    (o, Posting { id: posting, platform: "meituan".to_owned(), content, status: Status::Open, seats, revision: 1, held: false })
}

/// The page as it leaves, for a browser that sends these headers.
fn sent(query: &str, gzip: bool, offers: &[(Offer, Posting)]) -> Vec<u8> {
    let request = TestRequest::with_uri(&format!("/w/x{query}"));
    let request = if gzip { request.insert_header(("accept-encoding", "gzip, deflate, br")) } else { request };
    let request = request.to_http_request();
    let visit = Visit::of(&request);
    let token = "bDYhB5L1qrlw7j6bVDEL3n3VeMZ4PxoYP2H1K_XmOSc";
    let page = visit
        .page(
            200,
            "worker.html",
            context! { version => "v", ..content(&visit, token, (&worker(), offers, &Helpers::new()), Vec::new(), now()) },
        )
        .unwrap();
    page.into_body().try_into_bytes().unwrap().to_vec()
}

fn html(query: &str, offers: &[(Offer, Posting)]) -> String {
    String::from_utf8(sent(query, false, offers)).unwrap()
}

#[test]
fn what_a_platform_wrote_stays_text() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    for query in ["", "?lang=en", "?done=%3Cscript%3E&lang=%22%3E%3Cscript%3E"] {
        let page = html(query, &[offer(1, OfferState::Offered, evil, "面议"), offer(2, OfferState::Declined, evil, "面议")]);
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }
}

#[test]
fn pay_that_is_not_said_is_said_to_be_missing() {
    assert!(html("", &[offer(1, OfferState::Offered, "分拣员", "面议")]).contains("工资没有写明（面议）"));
    assert!(html("?lang=en", &[offer(1, OfferState::Offered, "分拣员", "")]).contains("Pay is not said"));
}

#[test]
fn twenty_offers_take_less_than_30_kb_over_the_line() {
    let all: Vec<_> = (0..20).map(|n| offer(n, OfferState::Offered, "仓库分拣员（长期白班，可借支）", "5500-7500元/月")).collect();
    let compressed = sent("", true, &all).len();
    assert!(compressed < 10 * 1024, "{compressed} bytes of 20 unanswered offers, compressed");
    // A browser that takes no compression, and as many open offers as routing sends.
    let state = |n| if n < 3 { OfferState::Offered } else { OfferState::Waitlisted };
    let usual: Vec<_> = (0..20).map(|n| offer(n, state(n), "仓库分拣员（长期白班，可借支）", "5500-7500元/月")).collect();
    let plain = sent("", false, &usual).len();
    assert!(plain < 30 * 1024, "{plain} bytes of 3 open and 17 answered offers, not compressed");
}

#[test]
fn every_state_is_told_and_only_what_can_be_answered_has_buttons() {
    for state in OfferState::ALL {
        let page = html("", &[offer(1, state, "分拣员", "面议")]);
        assert_eq!(page.contains("/accept"), state.unanswered(), "{state:?}");
        assert_eq!(page.contains("退掉这份工作"), matches!(state, OfferState::Accepted | OfferState::Waitlisted), "{state:?}");
        assert_eq!(page.contains("sendBeacon"), state == OfferState::Offered, "{state:?}");
    }
    let (mut late, p) = offer(1, OfferState::Seen, "分拣员", "面议");
    late.expires_at = now();
    assert!(html("", &[(late, p)]).contains("答复时间已过"));
    assert!(html("", &[offer(1, OfferState::Waitlisted, "分拣员", "面议")]).contains("排在第 3 位"));
}

#[test]
fn a_notice_is_one_of_a_fixed_set() {
    assert!(html("?done=accepted", &[]).contains("已替您接受"));
    assert!(html("?done=offer_expired&lang=en", &[]).contains("has passed"));
    assert!(!html("?done=anything", &[]).contains("notice warn\"") && !html("?done=anything", &[]).contains("role=\"status\">"));
}
