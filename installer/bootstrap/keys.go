package bootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/durable"
)

// life is how long the certificates of a local control plane are good. It is
// gone long before; one that was forgotten shall not be useful for ever.
const life = 90 * 24 * time.Hour

// keys are the certificates of a control plane. The authority's key is beside
// them, in a folder that only its owner looks into.
type keys struct {
	dir   string
	ca    *x509.Certificate
	admin tls.Certificate
}

func (k *keys) file(name string) string { return filepath.Join(k.dir, name) }

// loadKeys reads the certificates in a folder, and makes those that are not
// there or will expire.
func loadKeys(dir string) (*keys, error) {
	k := &keys{dir: dir}
	ca, fresh, err := k.authority()
	if err != nil {
		return nil, err
	}
	if k.ca, err = authority.Certificate(ca.Pair().Certificate); err != nil {
		return nil, err
	}
	leaves := map[string]authority.Leaf{
		"server": {Name: "bootstrap", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Validity: life},
		"admin":  {Name: "sealift", Groups: []string{"system:masters"}, Validity: life},
	}
	for name, leaf := range leaves {
		if err := k.leaf(ca, name, leaf, fresh); err != nil {
			return nil, err
		}
	}
	k.admin, err = tls.LoadX509KeyPair(k.file("admin.crt"), k.file("admin.key"))
	return k, err
}

// authority returns the authority, a new one if there is none that lasts. One
// that is half written, or cannot be read, is as good as none: nothing that is
// kept depends on it.
func (k *keys) authority() (ca *authority.Authority, fresh bool, err error) {
	if pair, err := k.read("ca"); err == nil && k.lasts(pair) {
		if ca, err := authority.Parse(pair); err == nil {
			return ca, false, nil
		}
	}
	if ca, err = authority.New("sealift bootstrap", life); err != nil {
		return nil, false, err
	}
	return ca, true, k.write("ca", ca.Pair())
}

// leaf makes a certificate unless there is one that lasts.
func (k *keys) leaf(ca *authority.Authority, name string, leaf authority.Leaf, fresh bool) error {
	if pair, err := k.read(name); !fresh && err == nil && k.lasts(pair) && k.signed(pair) {
		return nil
	}
	pair, err := ca.Issue(leaf)
	if err != nil {
		return err
	}
	return k.write(name, pair)
}

// lasts tells whether a certificate goes with its key and is good for long.
func (k *keys) lasts(pair authority.Pair) bool {
	if _, err := tls.X509KeyPair(pair.Certificate, pair.Key); err != nil {
		return false
	}
	cert, err := authority.Certificate(pair.Certificate)
	return err == nil && !authority.Expiring(cert, time.Now())
}

// signed tells whether a certificate is the authority's: a run that was ended
// between the two may have left one of an older authority.
func (k *keys) signed(pair authority.Pair) bool {
	cert, err := authority.Certificate(pair.Certificate)
	return err == nil && cert.CheckSignatureFrom(k.ca) == nil
}

func (k *keys) read(name string) (authority.Pair, error) {
	cert, certErr := os.ReadFile(k.file(name + ".crt"))
	key, keyErr := os.ReadFile(k.file(name + ".key"))
	return authority.Pair{Certificate: cert, Key: key}, errors.Join(certErr, keyErr)
}

// write puts the certificate last: where it is, its key is.
func (k *keys) write(name string, pair authority.Pair) error {
	if err := durable.WriteFile(k.file(name+".key"), pair.Key, 0o600); err != nil {
		return err
	}
	return durable.WriteFile(k.file(name+".crt"), pair.Certificate, 0o600)
}

// kubeconfig returns the administrator's, with everything in the file itself.
func (k *keys) kubeconfig(server string) ([]byte, error) {
	ca, err := os.ReadFile(k.file("ca.crt"))
	if err != nil {
		return nil, err
	}
	pair, err := k.read("admin")
	if err != nil {
		return nil, err
	}
	const name = "bootstrap"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}
