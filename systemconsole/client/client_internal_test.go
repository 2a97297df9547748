package client

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow answers after a time.
type slow time.Duration

// RoundTrip implements http.RoundTripper.
func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Duration(s)):
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// A restore is waited for as long as the console works at it; what is only shown
// has to come sooner.
func TestChangesMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{URL: "https://console.north.example", Token: "t"})
		require.NoError(t, err)
		c.http.Transport = slow(10 * time.Minute)
		require.NoError(t, c.Call(t.Context(), http.MethodPost, "backups/folder/x/restore", struct{}{}, nil))
		require.ErrorIs(t, c.Call(t.Context(), http.MethodGet, "backups", nil, nil), ErrUnavailable)
	})
}
