package main

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// Libraries register options of the same names with the program's own set.
func TestOptions(t *testing.T) {
	opts, err := options([]string{"--addr=127.0.0.1:0", "--kubeconfig=k.conf", "--upload-room=2", "--upgrade-account=up"})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:0", opts.Addr)
	require.Equal(t, "k.conf", opts.Kubeconfig)
	require.EqualValues(t, 2<<30, opts.UploadRoom)
	require.NotNil(t, opts.Upgrader(&rest.Config{}))

	opts, err = options(nil)
	require.NoError(t, err)
	require.Nil(t, opts.Upgrader, "nothing upgrades without an account")
}

func TestOptionsThatAreNone(t *testing.T) {
	_, err := options([]string{"serve"})
	require.ErrorContains(t, err, `what is "serve"?`)
	_, err = options([]string{"--no-such-option"})
	require.ErrorContains(t, err, "no-such-option")
	_, err = options([]string{"-help"})
	require.ErrorIs(t, err, flag.ErrHelp)
}
