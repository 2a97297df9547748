package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
)

// counting is a step that writes a file and counts how often it was made.
func counting(made *int, inputs ...string) *cache.Step {
	return &cache.Step{Name: "step", Inputs: inputs, Make: func(_ context.Context, dir string) error {
		*made++
		return os.WriteFile(filepath.Join(dir, "result"), []byte("12345"), 0o644)
	}}
}

func TestDoneStepIsSkipped(t *testing.T) {
	c, made := cache.New(t.TempDir()), 0
	s := counting(&made, "v1")
	_, done := c.Done(s)
	require.False(t, done)
	for range 2 {
		r, err := c.Make(t.Context(), s)
		require.NoError(t, err)
		require.EqualValues(t, 5, r.Bytes)
	}
	require.Equal(t, 1, made)
	require.FileExists(t, filepath.Join(c.Path(s), "result"))
}

func TestKeyFollowsFromInputsAndNeeds(t *testing.T) {
	key := func(name string, inputs []string, needs ...*cache.Step) string {
		return (&cache.Step{Name: name, Inputs: inputs, Needs: needs}).Key()
	}
	base := key("a", []string{"x", "y"})
	require.Equal(t, base, key("a", []string{"x", "y"}))
	require.NotEqual(t, base, key("b", []string{"x", "y"}))
	require.NotEqual(t, base, key("a", []string{"xy"}), "inputs are kept apart")
	require.NotEqual(t, base, key("a", []string{"x", "y"}, &cache.Step{Name: "need"}))
	require.NotEqual(t, key("a", nil, &cache.Step{Name: "n", Inputs: []string{"1"}}), key("a", nil, &cache.Step{Name: "n", Inputs: []string{"2"}}),
		"a need that changes changes the key")
}

func TestNewResultReplacesTheOld(t *testing.T) {
	c, made := cache.New(t.TempDir()), 0
	old, now := counting(&made, "v1"), counting(&made, "v2")
	longer := counting(&made, "v1")
	longer.Name = "step-longer"
	for _, s := range []*cache.Step{old, longer, now} {
		_, err := c.Make(t.Context(), s)
		require.NoError(t, err)
	}
	require.NoDirExists(t, c.Path(old))
	require.DirExists(t, c.Path(now))
	require.DirExists(t, c.Path(longer), "a step whose name only begins alike is another")
}

func TestInterruptedStepStartsClean(t *testing.T) {
	dir := t.TempDir()
	c, made := cache.New(dir), 0
	s := counting(&made, "v1")
	left := filepath.Join(dir, "step.partial", "left")
	require.NoError(t, os.MkdirAll(filepath.Dir(left), 0o755))
	require.NoError(t, os.WriteFile(left, nil, 0o644))
	_, err := c.Make(t.Context(), s)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(c.Path(s), "left"))
}

func TestFailedStepIsNotDone(t *testing.T) {
	c, made := cache.New(t.TempDir()), 0
	s := counting(&made, "v1")
	works := s.Make
	s.Make = func(ctx context.Context, dir string) error {
		return errors.Join(works(ctx, dir), errors.New("no room"))
	}
	_, err := c.Make(t.Context(), s)
	require.EqualError(t, err, "step step: no room")
	_, done := c.Done(s)
	require.False(t, done)
	s.Make = works
	_, err = c.Make(t.Context(), s)
	require.NoError(t, err)
}

func TestHalfBuiltResultIsNotDone(t *testing.T) {
	c, made := cache.New(t.TempDir()), 0
	s := counting(&made, "v1")
	_, err := c.Make(t.Context(), s)
	require.NoError(t, err)
	for _, damage := range []string{"", "{"} {
		require.NoError(t, os.WriteFile(filepath.Join(c.Path(s), ".step.json"), []byte(damage), 0o644))
		_, done := c.Done(s)
		require.False(t, done)
		_, err = c.Make(t.Context(), s)
		require.NoError(t, err, "it is made anew")
	}
	require.Equal(t, 3, made)
}

func TestResultWithoutItsFilesIsNotDone(t *testing.T) {
	c := cache.New(t.TempDir())
	s := &cache.Step{Name: "step", Make: func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "result"), []byte("what others need"), 0o644)
	}}
	_, err := c.Make(t.Context(), s)
	require.NoError(t, err)
	_, done := c.Done(s)
	require.True(t, done)
	require.NoError(t, os.Remove(filepath.Join(c.Path(s), "result")))
	_, done = c.Done(s)
	require.False(t, done)
	_, err = c.Make(t.Context(), s)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(c.Path(s), "result"))
}

func TestNeedsComeFirst(t *testing.T) {
	c, made := cache.New(t.TempDir()), 0
	s := counting(&made)
	s.Needs = []*cache.Step{{Name: "other"}}
	_, err := c.Make(t.Context(), s)
	require.EqualError(t, err, "step step: needs other, which is not done")
	require.Zero(t, made)
}

func TestLockKeepsASecondRunOut(t *testing.T) {
	c := cache.New(filepath.Join(t.TempDir(), "new"))
	release, err := c.Lock()
	require.NoError(t, err)
	_, err = c.Lock()
	require.ErrorIs(t, err, cache.ErrBusy)
	require.NotEmpty(t, problem.Remedies(err))
	require.NoError(t, release())
	release, err = c.Lock()
	require.NoError(t, err)
	require.NoError(t, release())
}

func TestDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), mode))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	digest := func() string {
		d, err := cache.Digest(dir)
		require.NoError(t, err)
		return d
	}
	write("a.go", "1", 0o644)
	first := digest()
	write("a_test.go", "a test", 0o644)
	write("a.go", "1", 0o664)
	require.Equal(t, first, digest(), "tests and the umask count for nothing")
	write("a.go", "1", 0o755)
	require.NotEqual(t, first, digest())
	write("a.go", "2", 0o644)
	require.NotEqual(t, first, digest())
	_, err := cache.Digest(filepath.Join(dir, "absent"))
	require.Error(t, err)
}
