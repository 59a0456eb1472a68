#!/bin/sh
# Makes certificates, an access file and tokens into DIR, for tests of who may call. Needs openssl and
# coreutils; TESSERA_BIN makes the API key.
#
#     TESSERA_BIN=target/debug/tessera make-files.sh DIR
set -eu
: "${TESSERA_BIN:?names the tessera binary}"
cd "$1"

authority() { # NAME: NAME.pem signs others
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
        -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

certificate() { # NAME ALTERNATIVE-NAME AUTHORITY
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days 2 \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

authority ca
authority strangers
certificate server IP:127.0.0.1,DNS:localhost ca
certificate billing URI:spiffe://cluster.local/ns/billing/sa/reader ca
certificate stranger URI:spiffe://cluster.local/ns/billing/sa/reader strangers

base64url() { basenc --base64url --wrap=0 | tr -d =; }

# Two signers; the server knows the first.
openssl genrsa -out signer.key 2048 2>/dev/null
openssl genrsa -out forger.key 2048 2>/dev/null
modulus=$(openssl rsa -in signer.key -noout -modulus 2>/dev/null | sed 's/^Modulus=//' | basenc --base16 -d | base64url)
printf '{"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": "%s", "e": "AQAB"}]}\n' \
    "$modulus" >jwks.json

token() { # NAME SIGNER ISSUER SUBJECT SECONDS-TO-LIVE
    head=$(printf '{"alg": "RS256", "kid": "one", "typ": "JWT"}' | base64url)
    claims=$(printf '{"iss": "%s", "aud": "tessera", "sub": "%s", "exp": %d}' \
        "$3" "$4" $(($(date +%s) + $5)) | base64url)
    signature=$(printf '%s.%s' "$head" "$claims" | openssl dgst -sha256 -sign "$2.key" | base64url)
    printf '%s.%s.%s' "$head" "$claims" "$signature" >"$1.token"
}

token reader signer https://login.example reader-7 3600
token guest signer https://login.example guest 3600
token expired signer https://login.example reader-7 -3600
token elsewhere signer https://evil.example reader-7 3600
token forged forger https://login.example reader-7 3600
printf 'a-key-that-nobody-made' >wrong.token

cat >access.toml <<'TOML'
[jwt]
issuers = ["https://login.example"]
audiences = ["tessera"]
jwks-file = "jwks.json"

[[rule]]
callers = ["key:reader", "jwt:reader-*", "spiffe://cluster.local/ns/billing/*"]
methods = ["*"]

[[rule]]
callers = ["jwt:guest"]
methods = ["ModelInfo"]
TOML
"$TESSERA_BIN" key reader >>access.toml 2>key.line
tr -d '\n' <key.line >key.token
