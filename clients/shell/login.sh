#!/bin/sh
# A whole login with curl: sh login.sh [URL [PHONE]]
set -eu
url=${1:-http://127.0.0.1:9000} phone=${2:-+8613800138000}
post() { method=$1 && shift && curl -sS "$url/$method" -H 'Content-Type: application/json' "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
key=$(od -An -tx1 -N16 /dev/urandom | tr -d ' ') # one for each code; the same, if the answer was lost

sent=$(post getSms -H "Idempotency-Key: $key" -d '{"phone":"'"$phone"'"}')
session=$(echo "$sent" | field sessionId)

# Send again, once resendAfter is over.
post getSms -d '{"phone":"'"$phone"'","sessionId":"'"$session"'"}'

printf 'Code: ' && read -r code
user=$(post login -d '{"phone":"'"$phone"'","sessionId":"'"$session"'","code":"'"$code"'"}')
token=$(echo "$user" | field token) refresh=$(echo "$user" | field refreshToken)

post getUserInfo -i -X POST -H "Authorization: Bearer $token" # 401 TokenExpired, some day

user=$(post refresh -d '{"refreshToken":"'"$refresh"'"}')
token=$(echo "$user" | field token) refresh=$(echo "$user" | field refreshToken)
post getUserInfo -X POST -H "Authorization: Bearer $token"

post logout -d '{"refreshToken":"'"$refresh"'"}'
