#!/bin/sh
# Makes the secrets of `docker compose --profile cluster`, each by chance, in server/cluster/secrets. It changes none that is there.
# The folder is its owner's alone; the files in it are readable, so that the containers' user may read what is given to it.
set -eu
umask 077
cd "$(dirname "$0")"
if [ -e secrets ]; then
    echo "server/cluster/secrets is there already: remove it to make new secrets, and the volumes database and bucket with it" >&2
    exit 1
fi
chance() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
password=$(chance)
service=$(chance)
worker=$(chance)
made=$(mktemp -d ./making-XXXXXX)
chance > "$made/ray-token"
printf %s "$password" > "$made/postgres-password"
# A worker reads and writes captures and nothing else; only the service makes the bucket, and tries it at its start.
cat > "$made/bucket-identities" <<END
{"identities": [
  {"name": "service", "credentials": [{"accessKey": "service", "secretKey": "$service"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "worker", "credentials": [{"accessKey": "worker", "secretKey": "$worker"}],
   "actions": ["Read:attnscope/service/captures/*", "Write:attnscope/service/captures/*", "List:attnscope/service/captures/*"]}
]}
END
common="AWS_ENDPOINT_URL=http://bucket:8333 AWS_ALLOW_HTTP=true AWS_REGION=us-east-1"
{
    printf '%s\n' $common "AWS_ACCESS_KEY_ID=service" "AWS_SECRET_ACCESS_KEY=$service"
    printf '%s\n' "ATTNSCOPE_SERVER_DATABASE_URL=postgresql://attnscope:$password@postgres/attnscope"
} > "$made/service"
printf '%s\n' $common "AWS_ACCESS_KEY_ID=worker" "AWS_SECRET_ACCESS_KEY=$worker" > "$made/worker"
chmod 644 "$made"/*
mv "$made" secrets
echo "made server/cluster/secrets"
