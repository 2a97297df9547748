package location

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzContentRange feeds what a server answers: what is taken lies in the file.
func FuzzContentRange(f *testing.F) {
	for _, v := range []string{"bytes 0-0/1", "bytes 5-3/9", "bytes 0-9/*", "bytes */9", "bytes 0-99999999999999999999/9", ""} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		from, to, size, err := parseContentRange(v)
		if err == nil {
			require.True(t, 0 <= from && from <= to && to < size, v)
		}
	})
}

// FuzzNames feeds names of places.
func FuzzNames(f *testing.F) {
	for _, v := range []string{"https://u:hidden@h/x?hidden", "b.tar.001", "s3://b/k", ".001", "http://", "https://h:x/?#", "s3:///"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if base, n, ok := volumeNumber(v); ok {
			require.Equal(t, v, VolumeName(base, n))
		}
		_, _, _ = parseS3(v)
		if u, err := parseWeb(v, nil); err == nil {
			require.NotEmpty(t, u.Host)
			require.Nil(t, u.User)
		}
	})
}

// FuzzRedact hides a secret in the places of an address where one may stand.
func FuzzRedact(f *testing.F) {
	f.Add("a/b")
	f.Add("a?b@c#d")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, v string) {
		const secret = "the-secret"
		for _, name := range []string{"https://u:" + v + secret + "@h/x", "https://h/x?" + v + secret, "https://" + secret + v + "@h/x", "https://u:" + secret + v + "@h"} {
			if strings.ContainsAny(v, "/?#") && strings.Contains(name, "@") {
				continue // then it is no password any more, but a path
			}
			require.NotContains(t, Redact(name), secret, name)
		}
	})
}
