#!/usr/bin/env bash
# Runs every check of the project, on a fresh clone too, and says what came of each.
#
#   bash tests/run.sh           everything: format, lints, unit tests, both engines,
#                               crashes, adapters, the demonstration, the pages,
#                               signatures by the official libraries
#   bash tests/run.sh --quick   format, lints, unit tests, and what needs SQLite only
#   bash tests/run.sh --deep    everything, with more cases and more crashes, the
#                               routing of a million compared, and its peers
#
# PostgreSQL and Redis are private ones in a temporary folder, on free ports, and gone
# at the end; DOORSTEP_TEST_POSTGRES and DOORSTEP_TEST_REDIS name others to be used
# instead. What is missing is installed by apt where that is possible (Debian, root).
# DOORSTEP_RUN_PROFILE=dev runs the demonstration unoptimized.
#
# A part that does not run fails. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

mode=full
case "${1:-}" in
    "") ;;
    --quick) mode=quick ;;
    --deep) mode=deep ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

export CARGO_TERM_COLOR=never RUST_BACKTRACE=${RUST_BACKTRACE:-0}
work=$(mktemp -d "${TMPDIR:-/tmp}/doorstep-run-XXXXXX")
chmod 711 "$work"
pg_bin="" pg_as=() redis_pid="" policy=""

# --- what runs beside the tests, and its end ---------------------------------------

stop_all() {
    [ -f "$work/pg/data/postmaster.pid" ] && "${pg_as[@]}" "$pg_bin/pg_ctl" -D "$work/pg/data" -m immediate stop >/dev/null 2>&1
    [ -n "$redis_pid" ] && kill "$redis_pid" 2>/dev/null && wait "$redis_pid" 2>/dev/null
    [ -n "$policy" ] && rm -f "$policy"
    rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 130' INT TERM

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return 0; }
    done
    echo "no free port was found" >&2
    return 1
}

find_postgres() {
    local folder
    for folder in /usr/lib/postgresql/*/bin /usr/local/bin /usr/local/pgsql/bin /opt/homebrew/bin; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && { echo "$folder"; return 0; }
    done
    folder=$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")
    [ -x "$folder/postgres" ] && echo "$folder"
}

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

# What is missing, as names of Debian packages.
missing() {
    [ -n "${DOORSTEP_TEST_POSTGRES:-}" ] || [ -n "$(find_postgres)" ] || echo postgresql
    [ -n "${DOORSTEP_TEST_REDIS:-}" ] || command -v redis-server >/dev/null || echo redis-server
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    find_chromium >/dev/null || echo chromium
    [ -n "$(fc-list :lang=zh family 2>/dev/null)" ] || echo fonts-noto-cjk
}

provide() {
    local wanted left
    mapfile -t wanted < <(missing)
    if [ ${#wanted[@]} -gt 0 ]; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            echo "missing, and not installed since that takes root and apt: ${wanted[*]}"
            return 1
        fi
        echo "installing ${wanted[*]}"
        # What is installed must not start a service of its own.
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            policy=/usr/sbin/policy-rc.d
            printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        fi
        apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" fontconfig >"$work/apt.log" 2>&1 ||
            { tail -20 "$work/apt.log" 2>/dev/null; }
        [ -n "$policy" ] && rm -f "$policy" && policy=""
        left=$(missing | tr '\n' ' ')
        [ -z "$left" ] || { echo "still missing: $left"; return 1; }
    fi
    if [ -z "${DOORSTEP_TEST_POSTGRES:-}" ]; then start_postgres || return 1; fi
    if [ -z "${DOORSTEP_TEST_REDIS:-}" ]; then start_redis || return 1; fi
    echo "PostgreSQL: ${DOORSTEP_TEST_POSTGRES}  Redis: ${DOORSTEP_TEST_REDIS}"
}

start_postgres() {
    local port user
    pg_bin=$(find_postgres)
    port=$(free_port) || return 1
    mkdir "$work/pg"
    if [ "$(id -u)" = 0 ]; then
        # initdb refuses root.
        user=$(id -un postgres 2>/dev/null || echo nobody)
        chown "$user" "$work/pg"
        pg_as=(runuser -u "$user" -- env HOME="$work/pg")
    fi
    (
        cd "$work/pg" || exit 1
        "${pg_as[@]}" "$pg_bin/initdb" -D "$work/pg/data" -U doorstep -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1 &&
            "${pg_as[@]}" "$pg_bin/pg_ctl" -D "$work/pg/data" -w -t 60 -l "$work/pg/log" \
                -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$work/pg -c max_connections=300 -c fsync=off" \
                start >>"$work/initdb.log" 2>&1
    ) || { echo "PostgreSQL did not start:"; tail -20 "$work/initdb.log" "$work/pg/log" 2>/dev/null; return 1; }
    export DOORSTEP_TEST_POSTGRES="postgres://doorstep@127.0.0.1:$port/postgres"
}

start_redis() {
    local port
    port=$(free_port) || return 1
    redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" --daemonize no >"$work/redis.log" 2>&1 &
    redis_pid=$!
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            export DOORSTEP_TEST_REDIS="redis://127.0.0.1:$port"
            return 0
        fi
        kill -0 "$redis_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "Redis did not start:"; tail -20 "$work/redis.log"
    return 1
}

# --- the parts --------------------------------------------------------------------

names=() budgets=() tooks=() results=() all_passed=0 all_failed=0

# part NAME BUDGET COMMAND...: runs it, adds what it counted (one, where it counts
# nothing), and ends it at three times its budget of seconds.
part() {
    local name=$1 budget=$2 began=$SECONDS log status pid watch
    shift 2
    log="$work/part-${#names[@]}.log"
    printf '\n== %s (budget %s s)\n' "$name" "$budget"
    # A process group of its own, so that all of it can be ended.
    set -m
    "$@" >"$log" 2>&1 &
    pid=$!
    set +m
    (
        sleep $((budget * 3)) &
        trap "kill $! 2>/dev/null" TERM
        wait $! && echo "ended at three times its budget" >>"$log" && kill -KILL -- "-$pid"
    ) >/dev/null 2>&1 &
    watch=$!
    wait "$pid"
    status=$?
    kill "$watch" 2>/dev/null
    wait "$watch" 2>/dev/null
    finish "$name" "$budget" $((SECONDS - began)) "$status" "$log"
}

# Adds a part that has ended to the table.
finish() {
    local name=$1 budget=$2 took=$3 status=$4 log=$5 passed failed result
    read -r passed failed < <(count "$log")
    if [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
        [ "$status" = 0 ] && passed=1
    fi
    if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    result="ok, $passed passed"
    if [ "$status" != 0 ] || [ "$failed" != 0 ]; then
        result="FAILED, $passed passed, $failed failed"
        tail -n 80 "$log"
    fi
    [ "$took" -gt "$budget" ] && result="$result, over budget"
    printf '   %s: %s in %s s\n' "$name" "$result" "$took"
    names+=("$name") budgets+=("$budget") tooks+=("$took") results+=("$result")
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
    [ "$status" = 0 ]
}

# A part that cannot run, and why.
not_run() {
    printf '\n== %s\n   NOT RUN: %s\n' "$1" "$2"
    names+=("$1") budgets+=("-") tooks+=(0) results+=("FAILED, not run: $2")
    all_failed=$((all_failed + 1))
}

# The tests that a log speaks of: passed, failed.
count() {
    awk '
        / tests? run: / {                           # cargo nextest
            if (match($0, /[0-9]+ passed/)) p += substr($0, RSTART, RLENGTH) + 0
            if (match($0, /[0-9]+ failed/)) f += substr($0, RSTART, RLENGTH) + 0
            if (match($0, /[0-9]+ timed out/)) f += substr($0, RSTART, RLENGTH) + 0
        }
        /^test result: / {                          # cargo test
            if (match($0, /[0-9]+ passed/)) p += substr($0, RSTART, RLENGTH) + 0
            if (match($0, /[0-9]+ failed/)) f += substr($0, RSTART, RLENGTH) + 0
        }
        /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }   # ours
        END { print p + 0, f + 0 }' "$1"
}

# tests TARGET... [-- FILTER...]: by cargo nextest where it is installed. Tests that
# were asked for and are not there fail.
tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --no-fail-fast --no-tests fail --status-level fail --final-status-level fail "$@"
    else
        cargo test --no-fail-fast "$@"
    fi
}

build() { cargo build --all-targets; }
lints() { cargo clippy --all-targets -- -D warnings; }
lints_peers() { cargo clippy --all-targets --features peers -- -D warnings; }

profile=(--release)
[ "${DOORSTEP_RUN_PROFILE:-release}" = dev ] && profile=()

build_demo() { cargo build "${profile[@]}" --bin doorstep; }
demo() { cargo run -q "${profile[@]}" --bin doorstep -- demo; }

# The routing index beside others: every answer of every one of them is compared.
build_peers() { cargo build "${profile[@]}" --features peers --bin doorstep; }
peers() { cargo run -q "${profile[@]}" --features peers --bin doorstep -- bench peers --workers 100000 --postings 300; }

# Every track at a million, each answer of a sample compared with looking at everybody.
compare_index() {
    cargo run -q --release --bin doorstep -- bench routing --postings 20000 --check 1000
}

# A million registered; the bench fails where a promise was broken.
end_to_end() { cargo run -q --release --bin doorstep -- bench e2e; }

pages() {
    local script=tests/browser/pages.mjs told="$work/demo.out" field demo_pid
    [ -f "$script" ] || { echo "there is no $script"; return 1; }
    (cd tests/browser && npm ci --no-audit --no-fund --loglevel=error) || return 1
    cargo run -q "${profile[@]}" --bin doorstep -- demo --workers 2000 --serve >"$told" 2>"$work/demo.err" &
    demo_pid=$!
    trap 'kill "$demo_pid" 2>/dev/null' EXIT
    for _ in $(seq 600); do
        grep -q 'Ctrl-C ends it' "$told" && break
        kill -0 "$demo_pid" 2>/dev/null || break
        sleep 0.5
    done
    said() { sed -nE "s|.*$1[[:space:]]+([^[:space:];]+).*|\1|p" "$told" | tail -1; }
    BASE_URL=$(said 'stays up on') WORKER_LINK=$(said "a worker's page") OFFICE_ID=$(said 'client id') OFFICE_SECRET=$(said 'client secret')
    for field in BASE_URL WORKER_LINK OFFICE_ID OFFICE_SECRET; do
        [ -n "${!field}" ] || { echo "the demonstration did not print its ${field}:"; cat "$told"; tail -20 "$work/demo.err"; return 1; }
    done
    CHROMIUM=$(find_chromium)
    export BASE_URL WORKER_LINK OFFICE_ID OFFICE_SECRET CHROMIUM
    node "$script"
}

# Real webhooks of a running server, verified by the official libraries.
signatures() {
    local folder="$work/signatures" port url="" credentials
    mkdir -p "$folder" && cp tests/signatures/* "$folder" || return 1
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error) || return 1
    python3 -m venv "$folder/python" && "$folder/python/bin/pip" install -q --disable-pip-version-check -r "$folder/requirements.txt" || return 1
    port=$(free_port) || return 1
    export DOORSTEP_KEYS__FILE="$folder/keys.toml" DOORSTEP_STORE__URL="sqlite://$folder/doorstep.db"
    export DOORSTEP_HTTP__LISTEN=127.0.0.1:0 DOORSTEP_OUTBOUND__ALLOW="127.0.0.1:$port"
    doorstep() { cargo run -q "${profile[@]}" --bin doorstep -- "$@"; }
    doorstep keys init "$folder/keys.toml" || return 1
    credentials=$(doorstep client add --role platform --name signatures) || return 1
    cargo run -q "${profile[@]}" --bin doorstep -- serve >"$folder/serve.out" 2>"$folder/serve.err" &
    serve_pid=$!
    trap 'kill "$serve_pid" 2>/dev/null' EXIT
    for _ in $(seq 100); do
        url=$(grep -oE 'http://[0-9.:]+' "$folder/serve.out" | head -1)
        [ -n "$url" ] && break
        sleep 0.2
    done
    [ -n "$url" ] || { echo "the server did not start:"; cat "$folder/serve.out" "$folder/serve.err"; return 1; }
    said() { sed -nE "s/.*\"$1\": *\"([^\"]+)\".*/\1/p" <<<"$credentials" | head -1; }
    CLIENT_ID=$(said client_id) CLIENT_SECRET=$(said client_secret)
    export CLIENT_ID CLIENT_SECRET BASE_URL="$url" RECEIVER_PORT="$port" RECEIVED="$folder/received.json"
    (cd "$folder" && node verify.mjs) && "$folder/python/bin/python" "$folder/verify.py" "$folder/received.json"
}

# The sealed log of a demonstration, verified by the program and by one written from the
# README alone; and a copy that somebody wrote into, which both must refuse.
seals() {
    local folder="$work/seals" python demo_pid store passed=0 failed=0
    mkdir -p "$folder/tmp" && cp tests/seal/* "$folder" || return 1
    python3 -m venv "$folder/python" && "$folder/python/bin/pip" install -q --disable-pip-version-check -r "$folder/requirements.txt" || return 1
    python="$folder/python/bin/python"
    TMPDIR="$folder/tmp" cargo run -q "${profile[@]}" --bin doorstep -- demo --workers 2000 --serve >"$folder/demo.out" 2>"$folder/demo.err" &
    demo_pid=$!
    trap 'kill "$demo_pid" 2>/dev/null' EXIT
    for _ in $(seq 600); do
        grep -q 'Ctrl-C ends it' "$folder/demo.out" && break
        kill -0 "$demo_pid" 2>/dev/null || break
        sleep 0.5
    done
    store=$(echo "$folder"/tmp/doorstep-demo-*/doorstep.db)
    [ -f "$store" ] || { echo "the demonstration left no store:"; cat "$folder/demo.out" "$folder/demo.err"; return 1; }
    export DOORSTEP_STORE__URL="sqlite://$store" DOORSTEP_KEYS__FILE="${store%/*}/keys.toml"
    doorstep() { cargo run -q "${profile[@]}" --bin doorstep -- "$@"; }
    doorstep seal key >"$folder/key" && doorstep seal checkpoint >"$folder/checkpoint" || return 1
    "$python" -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("VACUUM INTO ?", (sys.argv[2],))' "$store" "$folder/copy.db" || return 1
    check() { # NAME EXPECTED COMMAND...
        local name=$1 expected=$2 status=0
        shift 2
        "$@" || status=$?
        if [ "$status" = "$expected" ]; then passed=$((passed + 1)); else echo "FAIL $name: $status"; failed=$((failed + 1)); fi
    }
    check "the program passes what it sealed" 0 doorstep seal verify --checkpoint "$folder/checkpoint"
    check "the second verifier passes it" 0 "$python" "$folder/verify.py" "$store" "$folder/checkpoint" "$folder/key"
    check "and a copy of it" 0 "$python" "$folder/verify.py" "$folder/copy.db" "$folder/checkpoint" "$folder/key"
    "$python" -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute("UPDATE ledger SET at = at + 1 WHERE seq = 1234"); db.commit()' "$folder/copy.db"
    check "it refuses an entry that was changed" 1 "$python" "$folder/verify.py" "$folder/copy.db" "$folder/checkpoint" "$folder/key"
    export DOORSTEP_STORE__URL="sqlite://$folder/copy.db"
    check "so does the program" 1 doorstep seal verify --checkpoint "$folder/checkpoint"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

backends_ready=no
if [ "$mode" != quick ]; then
    began=$SECONDS
    printf '\n== backends (budget 300 s)\n'
    # Not in a subshell: what it starts and exports stays.
    provide >"$work/provide.log" 2>&1
    status=$?
    cat "$work/provide.log"
    finish backends 300 $((SECONDS - began)) "$status" /dev/null && backends_ready=yes
fi
[ "$mode" = deep ] && export PROPTEST_CASES=${PROPTEST_CASES:-4096} DOORSTEP_TEST_DEEP=1

part format 10 cargo fmt --check
part lints 420 lints
part build 420 build
part "unit tests" 120 tests --lib --bins

if [ "$mode" = quick ]; then
    part "integration, SQLite" 480 tests --test it -- --skip postgres:: --skip redis:: --skip crash::
else
    crash_budget=240
    [ "$mode" = deep ] && crash_budget=1800
    if [ "$backends_ready" = yes ]; then
        export REQUIRE_BACKENDS=1
        part "integration, both engines" 720 tests --test it -- --skip crash:: --skip adapters:: --skip normalize::
        part "killed in the middle" "$crash_budget" tests --test it -- crash::
    else
        not_run "integration, both engines" "a backend is missing"
        not_run "killed in the middle" "a backend is missing"
    fi
    part adapters 120 tests --test it -- adapters:: normalize::
    if part "build of the demonstration" 900 build_demo; then
        part demonstration 120 demo
        part pages 240 pages
        part signatures 120 signatures
        part "sealed log" 120 seals
    else
        not_run demonstration "it was not built"
        not_run pages "the demonstration was not built"
        not_run signatures "the demonstration was not built"
        not_run "sealed log" "the demonstration was not built"
    fi
fi
if [ "$mode" = deep ]; then
    part "index, compared" 600 compare_index
    part "end to end" 300 end_to_end
    part "lints, with peers" 600 lints_peers
    if part "build of the peers" 1200 build_peers; then
        part peers 120 peers
    else
        not_run peers "it was not built"
    fi
fi

printf '\n%-28s %8s %8s  %s\n' part budget took result
for at in "${!names[@]}"; do
    printf '%-28s %8s %8s  %s\n' "${names[$at]}" "${budgets[$at]}" "${tooks[$at]}" "${results[$at]}"
done
printf '%-28s %8s %8s\n\n' "in all" "" "$SECONDS"
echo "$all_passed passed, $all_failed failed"
[ "$all_failed" = 0 ]
