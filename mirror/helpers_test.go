package mirror_test

import (
	"bytes"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/progress"
)

// flipIn changes one bit of the first place in a file that holds text.
func flipIn(t *testing.T, path, text string) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	i := bytes.Index(data, []byte(text))
	require.Positive(t, i)
	data[i] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// cutter cuts a run off after some blobs were begun.
type cutter struct {
	progress.None
	mu    sync.Mutex
	after int
	cut   func()
}

func (c *cutter) Start(string, int64) progress.Phase { return c }

func (c *cutter) Task(string, int64) progress.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after--; c.after < 0 {
		c.cut()
	}
	return progress.None{}
}
