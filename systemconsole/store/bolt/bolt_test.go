package bolt_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/store/storetest"
)

// childFile names the file of a child process, which writes until it is killed.
const childFile = "SEALIFT_TEST_BOLT_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		write(path)
	}
	os.Exit(m.Run())
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	})
}

// The file belongs to one process: its consoles share the store.
func TestReplicas(t *testing.T) {
	storetest.Replicas(t, func(t *testing.T) (first, second store.Store) {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s, s
	})
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	s, err := bolt.Open(path)
	require.NoError(t, err)
	_, err = bolt.Open(path)
	require.ErrorContains(t, err, "another program uses it")
	require.NoError(t, s.Close())
	s, err = bolt.Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestClosingEndsWatches(t *testing.T) {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
	require.NoError(t, err)
	events, err := s.Watch(t.Context(), "Thing")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, open := <-events
	require.False(t, open)
}

// write adds objects and says so, until it is killed.
func write(path string) {
	s, err := bolt.Open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		o := store.Object{Kind: "Thing", Name: "n" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(i), Data: []byte(`{"text":"x"}`)}
		if _, err := s.Create(nil, o); err != nil { //nolint:staticcheck // the embedded store waits for nothing
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(o.Name)
	}
}

// What was answered is there, whenever the process is killed.
func TestKillLosesNoAnsweredWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	answered := map[string]bool{}
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childFile+"="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		time.AfterFunc(time.Duration(60+37*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			answered[lines.Text()] = true
		}
		require.ErrorContains(t, cmd.Wait(), "killed")
	}
	require.NotEmpty(t, answered)
	s, err := bolt.Open(path)
	require.NoError(t, err)
	for name := range answered {
		_, err := s.Get(t.Context(), "Thing", name)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	t.Logf("%d writes", len(answered))
}
