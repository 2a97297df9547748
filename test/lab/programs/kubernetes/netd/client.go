package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// account is where the kubelet puts a pod's credentials.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// node is what netd wants to know of a node.
type node struct {
	Metadata struct{ Name string }
	Spec     struct{ PodCIDR string }
	Status   struct {
		Addresses []struct{ Type, Address string }
	}
}

// client reads the nodes from the API server.
type client struct {
	http     *http.Client
	endpoint string // HOST:PORT
}

// newClient uses the address that kind adds, because the Service's own works
// only when kube-proxy does.
func newClient() (*client, error) {
	authorities, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorities)
	endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT")
	if endpoint == "" {
		endpoint = net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	}
	return &client{endpoint: endpoint, http: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
	}}, nil
}

func (c *client) nodes(ctx context.Context) ([]node, error) {
	token, err := os.ReadFile(account + "token") // it is renewed now and then
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.endpoint+"/api/v1/nodes", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("listing nodes: %s", resp.Status)
	}
	var list struct{ Items []node }
	return list.Items, json.NewDecoder(resp.Body).Decode(&list)
}
