package step_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
)

// file is a step that makes a file.
type file struct {
	path string
	err  error // what Apply fails with
	lost bool  // Apply says that it worked, but nothing is there
	runs int
}

func (f *file) Name() string { return "make " + filepath.Base(f.path) }

func (f *file) Check(context.Context) (step.Status, error) {
	_, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return step.Status{Detail: "no file"}, nil
	}
	return step.Status{Done: err == nil, Detail: "there"}, err
}

func (f *file) Apply(_ context.Context, say step.Say) error {
	f.runs++
	say("writing %s", filepath.Base(f.path))
	if f.err != nil || f.lost {
		return f.err
	}
	return os.WriteFile(f.path, nil, 0o600)
}

type log struct{ lines []string }

func (l *log) Began(_ int, name string)   { l.lines = append(l.lines, "began "+name) }
func (l *log) Said(_ int, text string)    { l.lines = append(l.lines, "said "+text) }
func (l *log) Ended(_ int, r step.Result) { l.lines = append(l.lines, string(r.Outcome)+" "+r.Name) }

func TestARunGoesOnWhereItStood(t *testing.T) {
	dir := t.TempDir()
	a, b, c := &file{path: dir + "/a"}, &file{path: dir + "/b", err: errors.New("no space")}, &file{path: dir + "/c"}
	var l log
	results, err := step.Run(t.Context(), []step.Step{a, b, c}, step.Options{Observer: &l})
	require.ErrorContains(t, err, "make b: no space")
	require.Equal(t, problem.Partial, problem.KindOf(err))
	require.Contains(t, problem.Remedies(err)[0], "same command again")
	require.Len(t, results, 2)
	require.Equal(t, []string{"began make a", "said writing a", "applied make a", "began make b", "said writing b", "failed make b"}, l.lines)

	b.err = nil
	results, err = step.Run(t.Context(), []step.Step{a, b, c}, step.Options{})
	require.NoError(t, err)
	require.Equal(t, []step.Outcome{step.Skipped, step.Applied, step.Applied}, []step.Outcome{results[0].Outcome, results[1].Outcome, results[2].Outcome})

	results, err = step.Run(t.Context(), []step.Step{a, b, c}, step.Options{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 1}, []int{a.runs, b.runs, c.runs}, "the last run changed nothing")
	require.Equal(t, step.Skipped, results[2].Outcome)
}

func TestAStepThatOnlySaysItIsDoneFails(t *testing.T) {
	_, err := step.Run(t.Context(), []step.Step{&file{path: t.TempDir() + "/a", lost: true}}, step.Options{})
	require.ErrorContains(t, err, "make a: it ended, but is not done: no file")
	require.Equal(t, problem.Failed, problem.KindOf(err), "nothing was done before it")
}

func TestAStepKeepsItsKindOfError(t *testing.T) {
	dir := t.TempDir()
	refused := problem.New(problem.Verification, "get the right key", "the signature is wrong")
	_, err := step.Run(t.Context(), []step.Step{&file{path: dir + "/a"}, &file{path: dir + "/b", err: refused}}, step.Options{})
	require.Equal(t, problem.Verification, problem.KindOf(err))
}

// restless is a step whose API server goes away in the middle of it, so often.
type restless struct {
	file
	gone  error
	looks int // that fail
}

func (r *restless) Check(ctx context.Context) (step.Status, error) {
	if r.runs > 0 && r.looks > 0 {
		r.looks--
		return step.Status{}, r.gone
	}
	return r.file.Check(ctx)
}

func TestAStepIsBegunAgainWhileItsFailurePasses(t *testing.T) {
	gone := errors.New("connection refused")
	passing := func(err error) bool { return errors.Is(err, gone) }
	synctest.Test(t, func(t *testing.T) {
		r := &restless{file: file{path: t.TempDir() + "/a"}, gone: gone, looks: 3}
		var l log
		_, err := step.Run(t.Context(), []step.Step{r}, step.Options{Observer: &l, Passing: passing})
		require.NoError(t, err)
		require.Contains(t, l.lines, "said connection refused; trying again")
		require.Equal(t, "applied make a", l.lines[len(l.lines)-1], "it worked, and was not done before")
		require.Equal(t, 1, r.runs)
	})
	synctest.Test(t, func(t *testing.T) {
		r := &restless{file: file{path: t.TempDir() + "/a", err: gone}}
		began := time.Now()
		_, err := step.Run(t.Context(), []step.Step{r}, step.Options{Passing: passing, Patience: time.Minute})
		require.ErrorIs(t, err, gone)
		require.InDelta(t, time.Minute, time.Since(began), float64(5*time.Second))
		r.err, r.runs = errors.New("no space"), 0
		_, err = step.Run(t.Context(), []step.Step{r}, step.Options{Passing: passing})
		require.ErrorIs(t, err, r.err)
		require.Equal(t, 1, r.runs, "what does not pass is not tried again")
	})
}

func TestACanceledRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &file{path: t.TempDir() + "/a"}
	_, err := step.Run(ctx, []step.Step{a}, step.Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, a.runs)
}
