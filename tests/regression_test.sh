#!/usr/bin/env bash
# Walks the facade of a running kefu with curl, in twelve named checks, and prints how many hold.
#
#   tests/regression_test.sh [URL]            default http://127.0.0.1:8000
#
# It needs an agent, from the first of these that is there:
#   KEFU_AGENT_USERNAME, KEFU_AGENT_PASSWORD  an account that may answer chats
#   KEFU_AGENT_LINK                           a one-time sign-in link, as `kefu agent link` prints
#   the kefu command beside this script       makes an account; KEFU_DATA_DIR says where (.kefu)
# With the kefu command, or a token in KEFU_VIP_TOKEN, the VIP check has a VIP of its own.
set -uo pipefail

URL=${1:-http://127.0.0.1:8000}
URL=${URL%/}
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
KEFU=${KEFU:-$ROOT/.venv/bin/kefu}
DATA_DIR=${KEFU_DATA_DIR:-$ROOT/.kefu}
RUN=$(date +%s)-$$-$RANDOM
ALICE=regression-a-$RUN
BOB=regression-b-$RUN
CARL=regression-c-$RUN
TOTAL=12
PASSED=0
TOKEN=""
STATUS=""
BODY=""

# call METHOD PATH [JSON] [TOKEN]: sets STATUS and BODY
call() {
  local answer arguments=(-sS -m 90 -X "$1" -w $'\n%{http_code}' "$URL$2")
  [ -n "${3:-}" ] && arguments+=(-H 'content-type: application/json' --data-binary "$3")
  [ -n "${4:-}" ] && arguments+=(-H "authorization: Bearer $4")
  answer=$(curl "${arguments[@]}") || { STATUS=000; BODY=""; return 1; }
  STATUS=${answer##*$'\n'}
  BODY=${answer%$'\n'*}
}

# holds EXPRESSION: whether a Python expression about the last answer `a` is true
holds() {
  BODY=$BODY STATUS=$STATUS python3 - "$@" <<'PYTHON' 2>/dev/null
import json, os, sys
a, status = json.loads(os.environ["BODY"]), int(os.environ["STATUS"])
sys.exit(not eval(sys.argv[1], {"a": a, "status": status, "x": sys.argv[2:]}))
PYTHON
}

# field EXPRESSION: prints a part of the last answer
field() {
  BODY=$BODY python3 - "$1" <<'PYTHON' 2>/dev/null
import json, os, sys
print(eval(sys.argv[1], {"a": json.loads(os.environ["BODY"])}))
PYTHON
}

# check NAME COMMAND...: one of the twelve
check() {
  local name=$1
  shift
  if "$@"; then
    PASSED=$((PASSED + 1))
    printf 'ok    %s\n' "$name"
  else
    printf 'FAIL  %s: HTTP %s %s\n' "$name" "$STATUS" "${BODY:0:300}"
  fi
}

sign_in() {
  local link=${KEFU_AGENT_LINK:-}
  if [ -n "${KEFU_AGENT_USERNAME:-}" ]; then
    call POST /api/agent/login "{\"username\": \"$KEFU_AGENT_USERNAME\", \"password\": \"${KEFU_AGENT_PASSWORD:-}\"}"
  else
    if [ -z "$link" ] && [ -x "$KEFU" ]; then
      link=$("$KEFU" agent create --username "regression-$RUN" --name Regression \
        --data-dir "$DATA_DIR" | grep -o 'http.*#link=.*')
    fi
    call POST /api/agent/link "{\"token\": \"${link##*#link=}\"}"
  fi
  TOKEN=$(field 'a["token"]')
  AGENT_ID=$(field 'a["agent"]["id"]')
  [ -n "$TOKEN" ]
}

health() {
  call GET /api/health && holds 'status == 200 and a["status"] == "healthy" and a["session_isolation"]'
}

sync_chat() {
  call POST /api/conversation/new "{\"session_id\": \"$ALICE\"}" &&
    holds 'a["success"] and a["conversation_id"]' &&
    call POST /api/chat "{\"message\": \"你好，我叫小红 $RUN\", \"user_id\": \"$ALICE\"}" &&
    holds 'status == 200 and a["success"] and a["message"]'
}

session_isolation() {
  local first
  call POST /api/conversation/new "{\"session_id\": \"$ALICE\"}"
  first=$(field 'a["conversation_id"]')
  call POST /api/conversation/new "{\"session_id\": \"$BOB\"}" &&
    holds 'a["success"] and a["conversation_id"] != x[0]' "$first" &&
    call POST /api/chat "{\"message\": \"你好\", \"user_id\": \"$BOB\"}" &&
    holds 'a["success"]' && call GET "/api/sessions/$BOB" &&
    holds 'x[0] not in str(a["data"]["session"]["history"])' "$RUN"
}

escalate() {
  call POST /api/manual/escalate "{\"session_name\": \"$ALICE\", \"reason\": \"regression\"}" &&
    holds 'status == 200 and a["data"]["status"] == "pending_manual"'
}

blocked() {
  call POST /api/chat "{\"message\": \"在吗\", \"user_id\": \"$ALICE\"}" &&
    holds 'status == 409 and a["code"] == "MANUAL_IN_PROGRESS"' &&
    call POST /api/chat/stream "{\"message\": \"在吗\", \"user_id\": \"$ALICE\"}" &&
    holds 'status == 409 and a["detail"] == "MANUAL_IN_PROGRESS"'
}

takeover() {
  call POST "/api/sessions/$ALICE/takeover" "{\"agent_id\": \"$AGENT_ID\", \"agent_name\": \"Regression\"}" &&
    holds 'status == 401' &&
    call POST "/api/sessions/$ALICE/takeover" \
      "{\"agent_id\": \"$AGENT_ID\", \"agent_name\": \"Regression\"}" "$TOKEN" &&
    holds 'status == 200 and a["data"]["status"] == "manual_live"' &&
    holds 'a["data"]["assigned_agent"]["id"] == x[0]' "$AGENT_ID"
}

agent_message() {
  call POST /api/manual/messages \
    "{\"session_name\": \"$ALICE\", \"role\": \"agent\", \"content\": \"您好，我是人工客服\"}" "$TOKEN" &&
    holds 'status == 200 and a["data"]["message_id"] and a["data"]["timestamp"] > 0' &&
    call GET "/api/sessions/$ALICE" &&
    holds 'a["data"]["session"]["history"][-1]["role"] == "agent"'
}

release() {
  call POST "/api/sessions/$ALICE/release" "{\"agent_id\": \"$AGENT_ID\", \"reason\": \"done\"}" "$TOKEN" &&
    holds 'status == 200 and a["data"]["status"] == "bot_active"' &&
    call POST /api/chat "{\"message\": \"还有一个问题\", \"user_id\": \"$ALICE\"}" &&
    holds 'status == 200'
}

list() {
  call GET "/api/sessions?limit=100&sort=newest&keyword=$ALICE" "" "$TOKEN" &&
    holds 'a["data"]["total"] == 1 and a["data"]["sessions"][0]["session_name"] == x[0]' "$ALICE" &&
    call GET "/api/sessions/queue" "" "$TOKEN" &&
    holds 'len(a["data"]["queue"]) == a["data"]["total_count"]'
}

stats() {
  call GET /api/sessions/stats && holds 'status == 401' &&
    call GET /api/sessions/stats "" "$TOKEN" &&
    holds 'sum(a["data"]["by_status"].values()) == a["data"]["total"] > 0'
}

vip_filter() {
  local vip=${KEFU_VIP_TOKEN:-} sub=regression-vip-$RUN
  if [ -z "$vip" ] && [ -x "$KEFU" ] && [ -z "${KEFU_AGENT_USERNAME:-}${KEFU_AGENT_LINK:-}" ]; then
    vip=$("$KEFU" token customer --sub "$sub" --name VIP --vip --data-dir "$DATA_DIR" | tail -n 1)
  fi
  if [ -n "$vip" ]; then
    call POST /api/chat '{"message": "你好"}' "$vip" && holds 'a["success"]' || return 1
  fi
  call GET "/api/sessions?customer_type=vip&limit=100&sort=newest" "" "$TOKEN" &&
    holds 'status == 200 and all(s["priority"]["is_vip"] for s in a["data"]["sessions"])' &&
    holds 'not x[0] or a["data"]["total"] > 0' "$vip"
}

keyword() {
  call POST /api/chat "{\"message\": \"我要投诉，请转人工\", \"user_id\": \"$CARL\"}" &&
    holds 'a["success"] and a["status"] == "pending_manual"' &&
    call GET "/api/sessions/$CARL" &&
    holds 'a["data"]["session"]["escalation"]["reason"] == "keyword"'
}

# Leave nobody waiting who is nobody.
tidy_up() {
  local name
  call GET "/api/sessions?status=pending_manual&keyword=$RUN&limit=100" "" "$TOKEN"
  for name in $(field '" ".join(s["session_name"] for s in a["data"]["sessions"])'); do
    call POST "/api/sessions/$name/takeover" "{}" "$TOKEN"
    call POST "/api/sessions/$name/release" "{}" "$TOKEN"
  done
}

sign_in || { printf 'No agent could sign in: HTTP %s %s\n' "$STATUS" "${BODY:0:300}"; exit 2; }
check "health" health
check "sync chat" sync_chat
check "session isolation" session_isolation
check "escalate" escalate
check "blocked" blocked
check "takeover" takeover
check "agent message" agent_message
check "release" release
check "list" list
check "stats" stats
check "VIP filter" vip_filter
check "keyword" keyword
tidy_up
printf '%s/%s\n' "$PASSED" "$TOTAL"
[ "$PASSED" -eq "$TOTAL" ]
