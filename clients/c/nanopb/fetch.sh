#!/bin/sh
# Fetches nanopb into a folder: the generator from PyPI, the C sources, which are not there, from Debian's archive.
# Elsewhere: unpack nanopb 0.4.9.1 (https://github.com/nanopb/nanopb, tag 0.4.9.1) into the folder first.
set -eu
[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
folder=$(pwd)
version=0.4.9.1
sha256=4575944a468718ef25f05eb01d994364650b581563089a9841986bb1e460eac3

if [ ! -f pb_encode.c ]; then
  command -v apt-get >/dev/null || {
    echo "there is no apt-get: unpack nanopb $version into $folder" >&2
    exit 1
  }
  mkdir -p apt/lists/partial apt/cache/archives/partial
  cd apt
  # The checksum stands for the signature, which other systems than Debian cannot check.
  echo 'deb-src [trusted=yes] http://deb.debian.org/debian trixie main' >sources.list
  apt() {
    apt-get -qq -o Dir::Etc::SourceList="$folder/apt/sources.list" -o Dir::Etc::SourceParts=- \
      -o Dir::State::Lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" -o Debug::NoLocking=1 \
      -o APT::Sandbox::User="$(id -un)" "$@"
  }
  apt update
  apt source --download-only --tar-only nanopb
  echo "$sha256  nanopb_$version.orig.tar.gz" | sha256sum --check --quiet
  cd ..
  tar --extract --gzip --file "apt/nanopb_$version.orig.tar.gz" --strip-components 1 \
    --wildcards --no-wildcards-match-slash '*/pb*.[ch]' '*/LICENSE.txt'
  rm -r apt
fi
if [ ! -x python/bin/python ]; then
  python3 -m venv python
  python/bin/python -m pip install --quiet --only-binary :all: -r "$here/requirements.txt"
fi
