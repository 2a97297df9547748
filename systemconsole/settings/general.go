package settings

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
)

// General is the banner and the log.
type General struct {
	Banner   string `json:"banner"`
	LogLevel string `json:"logLevel"` // debug, info, warn or error; empty means info
}

// General returns the banner and the log.
func (s Settings) General() General { return General{s.Banner, s.LogLevel} }

// Level is that of the log.
func (s Settings) Level() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// maxBanner is the longest banner, in bytes.
const maxBanner = 300

func (g General) check() error {
	var p form.Problems
	if len(g.Banner) > maxBanner || strings.ContainsFunc(g.Banner, unicode.IsControl) {
		p.Add("banner", "use one line of at most %d characters", maxBanner)
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, g.LogLevel) {
		p.Add("logLevel", "choose debug, info, warn or error")
	}
	return p.Err()
}

// SetGeneral keeps the banner and the log.
func (s *Service) SetGeneral(ctx context.Context, g General) error {
	g.Banner = strings.TrimSpace(g.Banner)
	if err := g.check(); err != nil {
		return err
	}
	return s.change(ctx, "settings.general", func(to *Settings) error {
		to.Banner, to.LogLevel = g.Banner, g.LogLevel
		return nil
	})
}

// SetPolicy keeps what passwords and sessions have to keep to.
func (s *Service) SetPolicy(ctx context.Context, p auth.Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	return s.change(ctx, "settings.security", func(to *Settings) error { to.Policy = p; return nil })
}
