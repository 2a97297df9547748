package sbom

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromExpression(t *testing.T) {
	texts := map[string]license{"LicenseRef-own": {name: "Our own", text: "Do as you like."}}
	for expression, want := range map[string]string{
		"":                                   noAssertion,
		"NOASSERTION":                        noAssertion,
		"NONE":                               noAssertion,
		"MIT":                                "MIT",
		"MIT OR Apache-2.0":                  "MIT OR Apache-2.0",
		"MIT AND LicenseRef-own":             "MIT AND Our own",
		"MIT OR LicenseRef-own":              "MIT OR Our own",
		"(MIT OR LicenseRef-own) AND Zlib":   "(MIT OR Our own) AND Zlib",
		"LicenseRef-gone":                    "gone",
		"DocumentRef-x:LicenseRef-elsewhere": "DocumentRef-x:elsewhere",
		"Public Domain":                      "Public Domain",
	} {
		var parts []string
		for _, l := range tidy(fromExpression(expression, texts)) {
			parts = append(parts, l.expression+l.name)
		}
		if parts == nil {
			parts = []string{noAssertion}
		}
		require.Equal(t, want, strings.Join(parts, " AND "), expression)
	}
}

func TestNamesThatNothingDefinesAreNoExpressions(t *testing.T) {
	got := tidy([]license{{expression: "MIT OR LicenseRef-x"}, {expression: "MIT"}, {expression: "MIT"}, {}})
	require.Equal(t, []license{{expression: "MIT"}, {name: "MIT OR x"}}, got)
	require.Regexp(t, `^MIT AND LicenseRef-MIT-OR-x-[0-9a-f]{8}$`, expressionOf(got))
}

func TestDebianExpression(t *testing.T) {
	for text, want := range map[string]string{
		"Expat":                              "MIT",
		"GPL-2+":                             "GPL-2.0-or-later",
		"Artistic or GPL-1+":                 "Artistic-1.0-Perl OR GPL-1.0-or-later",
		"BSD-3-clause and Expat":             "BSD-3-Clause | MIT",
		"GPL-2+ or Expat and BSD-3-clause":   "GPL-2+ or Expat and BSD-3-clause",
		"GPL-2+, Expat, and Zlib":            "GPL-2+, Expat, and Zlib",
		"GPL-3+ with Bison exception":        "GPL-3+ with Bison exception",
		"something or other":                 "something or other",
		"public-domain and GPL-2+ and Expat": "public-domain | GPL-2.0-or-later | MIT",
	} {
		require.Equal(t, want, strings.Join(debianExpression(text), " | "), text)
	}
}

func TestFromTextKnowsWords(t *testing.T) {
	isc := `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided
that the above copyright notice and this permission notice appear in all copies.
THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES
OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR
ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS
ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.`
	require.Equal(t, []license{{expression: "ISC"}}, fromText(isc))
	other := fromText("Do what you want.")
	require.Equal(t, "Do what you want.", other[0].text)
	require.Regexp(t, "^text [0-9a-f]{16}$", other[0].name)
}
