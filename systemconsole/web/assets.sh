#!/usr/bin/env bash
# Copies what the console takes from npm into static, in the versions that
# package-lock.json fixes.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v npm >/dev/null; then
	../../.ci/packages npm
fi
npm ci --silent --no-audit --no-fund --ignore-scripts 2>/dev/null
cp node_modules/htmx.org/dist/htmx.min.js static/htmx.js
cp node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2 static/inter.woff2
cp node_modules/@fontsource-variable/inter/LICENSE static/inter.LICENSE
chmod 644 static/*
