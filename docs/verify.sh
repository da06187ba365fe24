#!/bin/sh
# Verifies a bundle of evidence with OpenSSL alone, and unpacks what it has verified.
#
#     sh verify.sh [-w WITNESS] [-t AUTHORITY] KEY BUNDLE [FOLDER]
#
# KEY is the signer's public key in PEM (Ed25519 or ECDSA P-256), as you got it from a person you
# trust; WITNESS the key of a second signer, if you want one to have signed. AUTHORITY is a file with a
# time stamp authority's certificates in PEM (root, intermediates), if you want a time: from it, not
# from the signer. FOLDER, if given, must not exist: it receives the verified files, and nothing else.
# Look at those, not at what another program unpacks: ZIP programs go by a directory at the archive's
# end, which this script does not look at.
#
# Needs sh, OpenSSL 3, and head, tail, od, sed, tr, wc, cut, date, mktemp, sha256sum (coreutils, sed):
# what a plain Debian has. Nothing inside the bundle is trusted, run, or used as a path before it is checked.
#
# What it does, in the order of the functions below:
#   1. walks the archive from its first byte: files are stored as they are, each behind a header
#      (PKWARE APPNOTE, 4.3.7) that gives its name and size;
#   2. takes statement.dsse.json and verifies its signature with KEY over the bytes that DSSE signs:
#      "DSSEv1 <length> <type> <length> <payload>";
#   3. compares each file with the SHA-256 that the signed payload (an in-toto Statement) has for it,
#      in its order: none missing, none added, none changed;
#   4. if there is an AUTHORITY, looks for its stamp (RFC 3161) over the signature, in the bundle and in
#      BUNDLE's folder, where a stamp lies that came later: BUNDLE without .zip, then a name, then .tsr.
#
# Exit status: 0 verified, 1 not, 2 wrong usage.
set -eu
LC_ALL=C
export LC_ALL

made=
fail() {
    printf 'NOT VERIFIED: %s\n' "$1" >&2
    [ -z "$made" ] || rm -rf -- "$made"
    exit 1
}

usage() {
    echo 'usage: sh verify.sh [-w WITNESS] [-t AUTHORITY] KEY BUNDLE [FOLDER]   (files; FOLDER must not exist)' >&2
    exit 2
}

witness='' authority=''
while getopts w:t: option; do
    case $option in
        w) witness=$OPTARG ;;
        t) authority=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] && [ $# -le 3 ] && [ -f "$1" ] && [ -f "$2" ] || usage
[ -z "$witness" ] || [ -f "$witness" ] || usage
[ -z "$authority" ] || [ -f "$authority" ] || usage
key=$1 bundle=$2 folder=${3:-}
if [ -n "$folder" ]; then
    mkdir -m 700 -- "$folder" || exit 2
    made=$folder
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

bytes() { # bytes FROM COUNT: a stretch of the bundle, counted from 0
    tail -c +$(($1 + 1)) -- "$bundle" 2>/dev/null | head -c "$2"
}

# 1. The archive: one line for each file, "START SIZE NAME", in $work/files.
walk() {
    end=$(($(wc -c <"$bundle")))
    at=0
    : >"$work/files"
    # A header is 30 bytes, here as decimal numbers $1 to ${30}, low byte first: signature ($1-$4),
    # method (${9}), size (${19}-${22}), lengths of name (${27}) and extra field (${29}).
    set -- $(bytes 0 30 | od -An -v -tu1)
    while [ "${1:-} ${2:-} ${3:-} ${4:-}" = "80 75 3 4" ]; do
        [ $# -eq 30 ] || fail "the archive is cut off at byte $at"
        [ "$9${10}" = 00 ] || fail "the file at byte $at is not stored as it is"
        size=$((${19} + (${20} << 8) + (${21} << 16) + (${22} << 24)))
        length=$((${27} + (${28} << 8)))
        start=$((at + 30 + length + ${29} + (${30} << 8)))
        if [ $size -eq 4294967295 ]; then # ZIP64: the size is in the extra field
            set -- $(bytes $((at + 30 + length + 4)) 6 | od -An -v -tu1) 0 0 0 0 0 0
            size=$(($1 + ($2 << 8) + ($3 << 16) + ($4 << 24) + ($5 << 32) + ($6 << 40)))
        fi
        [ $length -le 200 ] && [ $size -le $((end - start)) ] || fail "the archive is cut off at byte $at"
        # In a file, since a shell would drop a newline or zero byte at a name's end.
        bytes $((at + 30)) $length >"$work/name"
        name=$(tr -c 'A-Za-z0-9_./-' '?' <"$work/name")
        case /$name/ in
            *[?]* | *//* | */.* | */-*) fail "a file has a name that no bundle has: $name" ;;
        esac
        echo "$start $size $name" >>"$work/files"
        at=$((start + size))
        set -- $(bytes $at 30 | od -An -v -tu1)
    done
}

# 2. The signatures: the payload that KEY, and WITNESS, signed, in $work/payload.
signed_payload() {
    line=$(grep ' statement\.dsse\.json$' "$work/files") || fail "there is no signed statement in it"
    [ "$(echo "$line" | wc -l)" -eq 1 ] || fail "there are two statements in it"
    bytes "${line%% *}" "$(echo "$line" | cut -d ' ' -f 2)" | tr '{}[],' '\n\n\n\n\n' >"$work/envelope"
    part payload 1 payload
    part sig 1 sig
    type=application/vnd.in-toto+json
    { printf 'DSSEv1 %d %s %d ' ${#type} $type $(($(wc -c <"$work/payload"))) && cat "$work/payload"; } >"$work/signed"
    signature KEY "$key" sig
    [ -z "$witness" ] || part sig 2 second
    [ -z "$witness" ] || signature WITNESS "$witness" second
    [ -z "$witness" ] || ! same_key || fail "KEY and WITNESS are one key"
}

part() { # part NAME NUMBER FILE: decodes the envelope's NUMBERth entry of that name
    sed -n 's/^"'"$1"'":"\([A-Za-z0-9+/=]*\)"$/\1/p' "$work/envelope" | sed -n "$2p" >"$work/b64"
    openssl base64 -d -A -in "$work/b64" -out "$work/$3"
}

signature() { # signature WHOSE KEY FILE: whether FILE is its signature of $work/signed
    case $(openssl pkey -pubin -in "$2" -noout -text 2>/dev/null | head -n 1) in
        *ED25519*) set -- "$1" pkeyutl -verify -pubin -inkey "$2" -rawin -in "$work/signed" -sigfile "$work/$3" ;;
        *Public-Key*256*) set -- "$1" dgst -sha256 -verify "$2" -signature "$work/$3" "$work/signed" ;;
        *) fail "$1 is no Ed25519 or ECDSA P-256 public key in PEM" ;;
    esac
    whose=$1
    shift
    openssl "$@" >/dev/null 2>&1 || fail "the statement is not signed by this key, or was changed ($whose)"
}

same_key() {
    [ "$(openssl pkey -pubin -in "$key")" = "$(openssl pkey -pubin -in "$witness")" ]
}

# 3. The files: "SHA256 NAME" a line in $work/subjects, held against $work/files in the same order.
compare() {
    sed 's/^.*"subject":\[//' "$work/payload" | tr '{}[],' '\n\n\n\n\n' |
        sed -n 's/^"sha256":"\([0-9a-f]*\)"$/\1/p; s/^"name":"\([^"]*\)"$/\1/p' |
        while read -r sum && read -r name; do echo "$sum $name"; done >"$work/subjects"
    unsigned=' statement\.dsse\.json$\| statement\.sigstore\.json$\| stamps/[^/]*\.tsr$'
    grep -v "$unsigned" "$work/files" >"$work/covered" || :
    cut -d ' ' -f 2 "$work/subjects" >"$work/expected"
    cut -d ' ' -f 3 "$work/covered" >"$work/found"
    cmp -s "$work/expected" "$work/found" || explain
    while read -r sum name <&3 && read -r start size name <&4; do
        [ "$(digest "$start" "$size" "$name")" = "$sum  -" ] || fail "$name was changed"
    done 3<"$work/subjects" 4<"$work/covered"
}

explain() {
    while read -r name; do
        grep -qxF -e "$name" "$work/found" || fail "$name is signed but not in it"
    done <"$work/expected"
    while read -r name; do
        grep -qxF -e "$name" "$work/expected" || fail "$name is in it but not signed"
    done <"$work/found"
    fail "a file occurs twice, or they are not in the signed order"
}

digest() { # digest START SIZE NAME: its SHA-256, unpacking it on the way if there is a folder to unpack to
    if [ -z "$folder" ]; then
        bytes "$1" "$2" | sha256sum
    else
        case $3 in */*) mkdir -p -- "$folder/${3%/*}" ;; esac
        bytes "$1" "$2" >"$folder/$3"
        sha256sum <"$folder/$3"
    fi
}

# 4. The stamps: what AUTHORITY says of the time, in $times; one that it did not make is passed over.
stamped() {
    count=0 times=
    while read -r start size name; do
        case $name in
            stamps/*.tsr) count=$((count + 1)) && bytes "$start" "$size" >"$work/stamp.$count" ;;
        esac
    done <"$work/files"
    for file in "${bundle%.zip}".*.tsr; do
        [ ! -f "$file" ] || { count=$((count + 1)) && head -c 65536 -- "$file" >"$work/stamp.$count"; }
    done
    for stamp in "$work"/stamp.*; do
        time=$(openssl ts -reply -in "$stamp" -text 2>/dev/null | sed -n 's/^Time stamp: //p' | tr -cd 'A-Za-z0-9:. ')
        # Its certificate may have run out by now, so it is held against the stamp's own time.
        at=$(date -u -d "${time:-none}" +%s 2>/dev/null) || continue
        openssl ts -verify -data "$work/sig" -in "$stamp" -CAfile "$authority" -attime "$at" >/dev/null 2>&1 || continue
        times="$times${times:+, }$time"
    done
    [ -n "$times" ] || fail "no stamp over this signature leads to AUTHORITY's certificates"
}

walk
signed_payload
[ -z "$authority" ] || stamped
compare
printf 'verified: %d files as signed by %s\n' "$(($(wc -l <"$work/expected")))" "$key"
[ -z "$witness" ] || printf 'signed by %s too\n' "$witness"
[ -z "$authority" ] || printf 'stamped: %s, by the authority in %s\n' "$times" "$authority"
