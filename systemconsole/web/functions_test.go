package web

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBrowserIsNamed(t *testing.T) {
	for agent, name := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                         "Chrome 142 on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0":                                              "Firefox 128 on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15":         "Safari 17 on macOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge 142 on Windows",
		"curl/8.5.0": "curl/8.5.0",
		"sealift":    "sealift",
		"<b>x</b>":   "<b>x</b>",
		"":           "",
	} {
		assert.Equal(t, name, browser(agent), agent)
	}
}

func FuzzBrowser(f *testing.F) {
	f.Add("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36")
	f.Add("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) Version/17.4")
	f.Fuzz(func(_ *testing.T, agent string) { browser(agent) })
}
