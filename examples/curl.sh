#!/usr/bin/env bash
# Order a video, wait for it, bring it home: bash curl.sh "A red fox in snow" fox-take-1
# Needs jq, and curl 7.83 or later: it keeps the API key from the store that the video's address leads to.
set -euo pipefail
: "${RUSHES_URL:?set it to the address of the service}" "${RUSHES_API_KEY:?set it to an API key}"
prompt=$1
key=$2 # your own name for this order: sent again under it, it makes no second one
always=(--silent --show-error --retry 5 --retry-connrefused --header "Authorization: Bearer $RUSHES_API_KEY")

ask() { # the answer; a refusal goes to stderr and ends the script
  local answer
  answer=$(curl "${always[@]}" --fail-with-body "$@") || { echo "$answer" >&2; return 1; }
  echo "$answer"
}

job=$(
  jq --null-input --arg prompt "$prompt" '{$prompt, resolution: "720p", duration: 2}' |
    ask "$RUSHES_URL/v1/jobs" --header "Content-Type: application/json" --header "Idempotency-Key: $key" --data @- |
    jq --raw-output .id
)
echo "$job is ordered"

while true; do
  state=$(ask "$RUSHES_URL/v1/jobs/$job?wait=30" | jq --raw-output .state)
  case $state in
  archived) break ;;
  failed | cancelled)
    echo "$job is $state" >&2
    exit 1
    ;;
  esac
  sleep 1 # a service where too many wait already answers at once
done

curl "${always[@]}" --fail --location --output "$job.mp4" "$RUSHES_URL/v1/jobs/$job/video"
sha256=$(ask "$RUSHES_URL/v1/jobs/$job" | jq --raw-output .video.sha256)
echo "$sha256  $job.mp4" | sha256sum --check
