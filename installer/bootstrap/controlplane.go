package bootstrap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"
)

// serviceNetwork is where services would have their addresses. Nothing runs in
// this control plane that would ask for one.
const serviceNetwork = "10.255.255.0/24"

// etcd returns the process of etcd.
func (l *Local) etcd(ctx context.Context, keys *keys) (Process, error) {
	path, err := l.opts.Programs.Program(ctx, l.opts.Etcd, "etcd")
	if err != nil {
		return Process{}, err
	}
	for _, name := range []string{"etcd", "etcd-peer"} {
		if _, err := l.port(name); err != nil {
			return Process{}, err
		}
	}
	own, peer := l.url("etcd"), l.url("etcd-peer")
	return Process{Name: "etcd", Path: path, Args: []string{
		"--name=bootstrap", "--data-dir=" + filepath.Join(l.opts.Dir, "etcd"),
		"--listen-client-urls=" + own, "--advertise-client-urls=" + own,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=bootstrap=" + peer,
		"--cert-file=" + keys.file("server.crt"), "--key-file=" + keys.file("server.key"),
		"--trusted-ca-file=" + keys.file("ca.crt"), "--client-cert-auth=true",
		"--peer-cert-file=" + keys.file("server.crt"), "--peer-key-file=" + keys.file("server.key"),
		"--peer-trusted-ca-file=" + keys.file("ca.crt"), "--peer-client-cert-auth=true",
	}, Ready: keys.ready(own + "/health")}, nil
}

// apiServer returns the process of kube-apiserver. There is no controller
// manager: no service account gets a token, and nothing collects garbage.
func (l *Local) apiServer(ctx context.Context, keys *keys) (Process, error) {
	path, err := l.opts.Programs.Program(ctx, l.opts.APIServer, "kube-apiserver")
	if err != nil {
		return Process{}, err
	}
	port, err := l.port("kube-apiserver")
	if err != nil {
		return Process{}, err
	}
	return Process{Name: "kube-apiserver", Path: path, Args: []string{
		"--etcd-servers=" + l.url("etcd"), "--etcd-cafile=" + keys.file("ca.crt"),
		"--etcd-certfile=" + keys.file("admin.crt"), "--etcd-keyfile=" + keys.file("admin.key"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + keys.file("server.crt"), "--tls-private-key-file=" + keys.file("server.key"),
		"--client-ca-file=" + keys.file("ca.crt"), "--anonymous-auth=false", "--authorization-mode=RBAC",
		"--service-account-key-file=" + keys.file("server.crt"), "--service-account-signing-key-file=" + keys.file("server.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=" + serviceNetwork,
		"--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true", "--profiling=false",
	}, Ready: keys.ready(l.url("kube-apiserver") + "/readyz")}, nil
}

// probeTimeout is how long one question may take.
const probeTimeout = 5 * time.Second

// ready returns a check that asks a URL as the administrator.
func (k *keys) ready(url string) func(context.Context) error {
	pool := x509.NewCertPool()
	pool.AddCert(k.ca)
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{k.admin}}}}
	return func(ctx context.Context) error { return probe(ctx, client, url) }
}

// Answers returns a check that a URL of this host answers with success.
func Answers(url string) func(context.Context) error {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error { return probe(ctx, client, url) }
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 4 << 10

func probe(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: %s: %s", url, answer.Status, body)
	}
	return nil
}
