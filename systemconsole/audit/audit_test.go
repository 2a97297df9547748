package audit_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

func open(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// fill appends a few records.
func fill(t *testing.T, l *audit.Log) {
	t.Helper()
	ctx := audit.WithActor(t.Context(), audit.Actor{Name: "=cmd()", Via: "page", Source: "192.0.2.1"})
	for _, action := range []string{"a.create", "a.update", "a.delete"} {
		_, err := l.Append(ctx, audit.Event{Action: action, Object: "A/x", After: map[string]string{"html": "<b>&\u2028"}})
		require.NoError(t, err)
	}
}

// records are the objects of the chain, as somebody who writes to the store
// sees them.
func records(s store.Store) store.Collection[map[string]string] {
	return store.Collection[map[string]string]{Store: s, Kind: audit.Kind}
}

func TestVerify(t *testing.T) {
	s := open(t)
	l := audit.New(s, audit.Options{})
	sum, err := l.Verify(t.Context(), "")
	require.NoError(t, err)
	require.Zero(t, sum)
	fill(t, l)
	sum, err = l.Verify(t.Context(), "")
	require.NoError(t, err)
	require.EqualValues(t, 3, sum.Records)
	again := audit.New(s, audit.Options{})
	fill(t, again)
	_, err = l.Verify(t.Context(), sum.Head)
	require.NoError(t, err, "a head that was noted is still there")
	newest, err := again.Newest(t.Context(), 0, 4)
	require.NoError(t, err)
	require.Len(t, newest, 4)
	require.EqualValues(t, 6, newest[0].Number)
	newest, err = again.Newest(t.Context(), 3, 10)
	require.NoError(t, err)
	require.Len(t, newest, 2)
}

func TestTamperingIsFound(t *testing.T) {
	const second = "00000000000000000002"
	for name, tamper := range map[string]func(*testing.T, store.Store){
		"altered": func(t *testing.T, s store.Store) {
			_, err := records(s).Modify(t.Context(), second, func(v *map[string]string) error {
				(*v)["record"] = strings.Replace((*v)["record"], "a.update", "a.create", 1)
				return nil
			})
			require.NoError(t, err)
		},
		"a field added": func(t *testing.T, s store.Store) {
			_, err := records(s).Modify(t.Context(), second, func(v *map[string]string) error {
				(*v)["record"] = strings.Replace((*v)["record"], "{", `{"x":1,`, 1)
				return nil
			})
			require.NoError(t, err)
		},
		"removed": func(t *testing.T, s store.Store) { require.NoError(t, records(s).Delete(t.Context(), second, "")) },
		"garbage": func(t *testing.T, s store.Store) {
			_, err := records(s).Modify(t.Context(), second, func(v *map[string]string) error { (*v)["record"] = "{"; return nil })
			require.NoError(t, err)
		},
		"cut short": func(t *testing.T, s store.Store) {
			require.NoError(t, records(s).Delete(t.Context(), "00000000000000000003", ""))
		},
		"swapped": func(t *testing.T, s store.Store) {
			one, err := records(s).Get(t.Context(), "00000000000000000001")
			require.NoError(t, err)
			_, err = records(s).Modify(t.Context(), second, func(v *map[string]string) error { *v = one.Value; return nil })
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			l := audit.New(s, audit.Options{})
			fill(t, l)
			sum, err := l.Verify(t.Context(), "")
			require.NoError(t, err)
			tamper(t, s)
			_, err = l.Verify(t.Context(), sum.Head)
			require.ErrorIs(t, err, audit.ErrBroken)
			require.Equal(t, problem.Verification, problem.KindOf(err))
		})
	}
}

// Several servers append to one chain.
func TestManyServersOneChain(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for range 6 {
		l := audit.New(s, audit.Options{})
		all.Go(func() {
			for range 10 {
				if _, err := l.Append(t.Context(), audit.Event{Action: "x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sum, err := audit.New(s, audit.Options{}).Verify(t.Context(), "")
	require.NoError(t, err)
	require.EqualValues(t, 60, sum.Records)
}

func TestCSV(t *testing.T) {
	s := open(t)
	l := audit.New(s, audit.Options{})
	fill(t, l)
	var b bytes.Buffer
	require.NoError(t, l.WriteCSV(t.Context(), &b))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "'=cmd()", rows[1][2], "no formula")
	require.Contains(t, rows[1][8], "html")
}

// shown is a value with a secret.
type shown struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

func (s shown) Audit() any { return map[string]string{"name": s.Name} }

func TestChanges(t *testing.T) {
	s := open(t)
	l := audit.New(s, audit.Options{})
	c := store.Collection[shown]{Store: s, Kind: "Thing"}
	ctx := t.Context()
	_, err := audit.Create(ctx, l, c, store.Item[shown]{Name: "one", Value: shown{"a", "hush"}}, "thing.create")
	require.NoError(t, err)
	_, err = audit.Create(ctx, l, c, store.Item[shown]{Name: "one"}, "thing.create")
	require.ErrorIs(t, err, store.ErrExists)
	item, err := audit.Modify(ctx, l, c, "one", "thing.update", func(v *shown) error { v.Name = "b"; return nil })
	require.NoError(t, err)
	refused := errors.New("refused")
	_, err = audit.Modify(ctx, l, c, "one", "thing.update", func(*shown) error { return refused })
	require.ErrorIs(t, err, refused)
	require.NoError(t, audit.Delete(ctx, l, c, item, "thing.delete"))
	got, err := l.Newest(ctx, 0, 10)
	require.NoError(t, err)
	require.Len(t, got, 5)
	require.JSONEq(t, `{"name":"b"}`, string(got[0].Before))
	require.JSONEq(t, `{"name":"a"}`, string(got[1].Before))
	require.JSONEq(t, `{"name":"b"}`, string(got[1].After))
	require.Contains(t, got[2].Failure, "record 2 did not happen")
	for _, r := range got {
		require.NotContains(t, string(r.Before)+string(r.After), "hush")
	}
}
