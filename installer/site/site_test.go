package site_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/installer/site"
)

func TestParseExample(t *testing.T) {
	s, err := site.Parse(site.Example(), "/etc/sealift")
	require.NoError(t, err)
	require.Equal(t, site.BootstrapLocal, s.Spec.Bootstrap)
	require.Equal(t, "C0/Resources", s.Spec.VCenter.ResourcePool)
	require.Equal(t, "sealift", s.Spec.VCenter.TemplateFolder)
	require.Equal(t, site.Size{Name: site.Small, CPUs: 8, MemoryGiB: 16, DiskGiB: 60}, s.Spec.Cluster.ControlPlane.Size)
	require.Equal(t, "/etc/sealift/vcenter-ca.crt", s.Path(s.Spec.VCenter.CAFile))
	require.Empty(t, s.Path(""))
	require.Equal(t, "/x", s.Path("/x"))
	require.Equal(t, 5, s.Spec.Cluster.Nodes())
	require.Equal(t, 6, s.Spec.Cluster.AddressesNeeded())
	all := s.Spec.Network.Addresses.All()
	require.Len(t, all, 21)
	require.Equal(t, netip.MustParseAddr("10.20.0.20"), all[0])
	require.Equal(t, netip.MustParseAddr("10.20.0.40"), all[20])
	require.Equal(t, netip.MustParsePrefix("10.20.0.0/24"), s.Spec.Network.Addresses.Subnet())
}

// edit returns the example with one text replaced.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	text := string(site.Example())
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// problems parses a site, which must fail, and returns what the error lists.
func problems(t *testing.T, text string) []string {
	t.Helper()
	_, err := site.Parse([]byte(text), ".")
	require.ErrorIs(t, err, site.ErrInvalid)
	lines := strings.Split(err.Error(), "\n  ")
	require.Equal(t, "not valid:", lines[0])
	return lines[1:]
}

// lineOf returns the number of the line that holds text.
func lineOf(t *testing.T, document, text string) int {
	t.Helper()
	before, _, ok := strings.Cut(document, text)
	require.True(t, ok)
	return strings.Count(before, "\n") + 1
}

func TestParseTellsOneProblem(t *testing.T) {
	const key = "\n    sshAuthorizedKeys: []"
	for _, c := range []struct{ old, new, want string }{
		{"apiVersion: sealift.dev/v1", "apiVersion: sealift.dev/v2", `apiVersion: is "sealift.dev/v2", not "sealift.dev/v1"`},
		{"kind: Site", "kind: Sight", `kind: is "Sight", not "Site"`},
		{"name: north", "name: North", `metadata.name: "North" is not a name of lower-case letters, digits and '-' of at most 63`},
		{"# bootstrap: local ", "bootstrap: docker #", `spec.bootstrap: "docker" is neither local nor kind`},
		{"endpoint: registry.north.example:5000", "endpoint: https://x", `spec.registry.endpoint: "https://x" is not HOST or HOST:PORT`},
		{"prefix: sealift  ", "prefix: Seal/ift", `spec.registry.prefix: "Seal/ift" is no path of lower-case letters, digits, and single . _ - or / between them`},
		{"# plainHTTP: false", "plainHTTP: true", "spec.registry.caFile: a registry without TLS (plainHTTP) has no certificate"},
		{"# plainHTTP: false", "plainHTTP: maybe", "spec.registry.plainHTTP: is a string, not true or false"},
		{"# tokenServers: []", "tokenServers: [a/b]", `spec.registry.tokenServers[0]: "a/b" is not HOST or HOST:PORT`},
		{"{fromEnv: SEALIFT_REGISTRY}", "{fromEnv: A-B}", "spec.registry.credentials.fromEnv: is not the beginning of a variable's name, such as SEALIFT_VCENTER"},
		{"{fromEnv: SEALIFT_VCENTER}", "hunter2", "spec.vcenter.credentials: is none of {fromEnv: NAME}, {file: PATH} and prompt; a secret does not stand here"},
		{"{fromEnv: SEALIFT_VCENTER}", "{fromEnv: A, file: b}", "spec.vcenter.credentials: needs exactly one of fromEnv, file and prompt"},
		{"server: vcenter.north.example", "server: ''", "spec.vcenter.server: is empty; it is needed: HOST or HOST:PORT"},
		{"server: vcenter.north.example", "server: v:99999", `spec.vcenter.server: "v:99999" has no port from 1 to 65535`},
		{"caFile: vcenter-ca.crt ", "thumbprint: AA:BB #", `spec.vcenter.thumbprint: "AA:BB" is not the SHA-1 or SHA-256 of a certificate, as AA:BB:...`},
		{"# templateFolder: ", "templatefolder: ", `spec.vcenter: has no field "templatefolder"; did you mean templateFolder?`},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.20", `spec.network.addresses.range: "10.20.0.20" is not FIRST-LAST, such as 10.20.0.20-10.20.0.40`},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.20-fd00::1", "spec.network.addresses.range: 10.20.0.20-fd00::1 mixes IPv4 and IPv6"},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.40-10.20.0.20", "spec.network.addresses.range: 10.20.0.40-10.20.0.20 ends before it begins"},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.20-10.22.0.20", "spec.network.addresses.range: 10.20.0.20-10.22.0.20 has more than 65536 addresses"},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.20-10.20.0.24", "spec.network.addresses.range: has 5 addresses; 5 nodes and the one that an upgrade adds need 6, and 5 are the least"},
		{"range: 10.20.0.20-10.20.0.40", "range: 10.20.0.250-10.20.0.255", "spec.network.addresses.range: 10.20.0.250-10.20.0.255 does not lie within 10.20.0.0/24"},
		{"prefix: 24", "prefix: 33", "spec.network.addresses.prefix: is 33, not the length of a network's prefix, such as 24"},
		{"gateway: 10.20.0.1", "gateway: 10.20.1.1", "spec.network.addresses.gateway: 10.20.1.1 does not lie within 10.20.0.0/24"},
		{"gateway: 10.20.0.1", "gateway: 10.20.0.30", "spec.network.addresses.gateway: 10.20.0.30 is one of the range 10.20.0.20-10.20.0.40"},
		{"gateway: 10.20.0.1", "gateway: gw", `spec.network.addresses.gateway: "gw" is not an address`},
		{"prefix: 24", "prefix: 24\n      dhcp: true", "spec.network.addresses: with dhcp there is no range, prefix or gateway"},
		{"controlPlaneEndpoint: 10.20.0.10", "controlPlaneEndpoint: 10.20.0.21", "spec.network.controlPlaneEndpoint: 10.20.0.21 is one of the range 10.20.0.20-10.20.0.40: a node could be given it"},
		{"controlPlaneEndpoint: 10.20.0.10", "controlPlaneEndpoint: 10.21.0.10", "spec.network.controlPlaneEndpoint: 10.21.0.10 does not lie within 10.20.0.0/24: nodes announce it in their own network"},
		{"controlPlaneEndpoint: 10.20.0.10", "controlPlaneEndpoint: 10.20.0.1", "spec.network.controlPlaneEndpoint: 10.20.0.1 is the gateway"},
		{"controlPlaneEndpoint: 10.20.0.10", "controlPlaneEndpoint: api", `spec.network.controlPlaneEndpoint: "api" is not an address`},
		{"nameservers: [10.20.0.2]", "nameservers: [ns]", `spec.network.nameservers[0]: "ns" is not an address`},
		{"searchDomains: [north.example]", "searchDomains: [north.example, 'a b']", `spec.network.searchDomains[1]: "a b" is not a domain`},
		{"ntp: [10.20.0.3]", "ntp: ['-']", `spec.network.ntp[0]: "-" is not HOST or HOST:PORT`},
		{`# proxy: {http: ""`, "proxy: {http: 'http://u:geheim@p'", "spec.network.proxy.http: holds credentials; no secret stands in a site"},
		{`# proxy: {http: ""`, "proxy: {http: p", "spec.network.proxy.http: is not a URL such as http://proxy.site:3128"},
		{`# kubernetesVersion: "" `, "kubernetesVersion: 1.34 #", "spec.cluster.kubernetesVersion: is a number, not a string: write it in quotes"},
		{`# kubernetesVersion: "" `, "kubernetesVersion: v1.34 #", `spec.cluster.kubernetesVersion: "v1.34" is not a version such as v1.34.4`},
		{`# template: "" `, "template: a/b #", `spec.cluster.template: "a/b" is not the name of a template; its folder is spec.vcenter.templateFolder`},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: 10.20.0.0/16", "spec.cluster.podCIDR: 10.20.0.0/16 overlaps the nodes' network 10.20.0.0/24"},
		{"# serviceCIDR: 100.96.0.0/16", "serviceCIDR: 100.64.0.0/12", "spec.cluster.serviceCIDR: 100.64.0.0/12 overlaps podCIDR 100.64.0.0/16"},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: 10.244.0.0/22", "spec.cluster.podCIDR: 10.244.0.0/22 is too small: each node takes a /24 of it, and 6 nodes are needed, one of them for upgrades"},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: 10.244.0.0/25", "spec.cluster.podCIDR: 10.244.0.0/25 is too small: each node takes a /24 of it, and 6 nodes are needed, one of them for upgrades"},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: 172.0.0.0/7", "spec.cluster.podCIDR: 172.0.0.0/7 is too large: a /8 is the largest that Kubernetes takes"},
		{"# serviceCIDR: 100.96.0.0/16", "serviceCIDR: 172.16.0.0/11", "spec.cluster.serviceCIDR: 172.16.0.0/11 is too small or too large: Kubernetes takes a /12 to a /28"},
		{"# serviceCIDR: 100.96.0.0/16", "serviceCIDR: 172.16.0.0/29", "spec.cluster.serviceCIDR: 172.16.0.0/29 is too small or too large: Kubernetes takes a /12 to a /28"},
		{"# serviceCIDR: 100.96.0.0/16", "serviceCIDR: 'fd00:96::/112'", "spec.cluster.serviceCIDR: fd00:96::/112 is not of the family of controlPlaneEndpoint 10.20.0.10"},
		{"# serviceCIDR: 100.96.0.0/16", "serviceCIDR: ' 172.16.0.0/16'", `spec.cluster.serviceCIDR: " 172.16.0.0/16" is not a network such as 100.64.0.0/16`},
		{"nameservers: [10.20.0.2]", "nameservers: [10.20.0.2, 100.64.0.2]", "spec.cluster.podCIDR: 100.64.0.0/16 holds 100.64.0.2, which is spec.network.nameservers[1]"},
		{"endpoint: registry.north.example:5000", "endpoint: 100.96.0.9:5000", "spec.cluster.serviceCIDR: 100.96.0.0/16 holds 100.96.0.9, which is spec.registry.endpoint"},
		{"range: 10.20.0.20-10.20.0.40\n      prefix: 24\n      gateway: 10.20.0.1\n    controlPlaneEndpoint: 10.20.0.10", "dhcp: true\n    controlPlaneEndpoint: 100.64.0.10",
			"spec.cluster.podCIDR: 100.64.0.0/16 holds 100.64.0.10, which is spec.network.controlPlaneEndpoint"},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: x", `spec.cluster.podCIDR: "x" is not a network such as 100.64.0.0/16`},
		{"replicas: 3 ", "replicas: 2 ", "spec.cluster.controlPlane.replicas: is 2, not 1, 3 or 5"},
		{"size: small ", "size: tiny ", `spec.cluster.controlPlane.size: "tiny" is none of small, medium and large`},
		{"size: small ", "size: {name: small, cpus: 4} ", "spec.cluster.controlPlane.size: give a name or figures, not both"},
		{"size: small ", "size: {cpus: 1, memoryGiB: 8, diskGiB: 40} ", "spec.cluster.controlPlane.size.cpus: is 1; a node needs 2 or more"},
		{"replicas: 2\n", "replicas: -1\n", "spec.cluster.workers[0].replicas: is -1; it must be 1 or more"},
		{"- name: default", "- name: default\n      - name: default", "spec.cluster.workers[1].name: default stands twice"},
		{key, "\n    sshAuthorizedKeys: ['-----BEGIN']", `spec.cluster.sshAuthorizedKeys[0]: is not one public key such as "ssh-ed25519 AAAA..."`},
		{"hostname: console.north.example", "hostname: 'a:1'", `spec.console.hostname: "a:1" is not the name of a host`},
		{`# tls: {certFile: ""`, "tls: {certFile: a", "spec.console.tls: needs both certFile and keyFile, or neither"},
	} {
		t.Run(c.want, func(t *testing.T) {
			got := problems(t, edit(t, c.old, c.new))
			require.Len(t, got, 1)
			require.Regexp(t, `^line \d+: `, got[0])
			_, text, _ := strings.Cut(got[0], ": ")
			require.Equal(t, c.want, text)
			require.NotContains(t, got[0], "hunter2")
			require.NotContains(t, got[0], "geheim")
		})
	}
}

func TestParseTellsEveryProblemWithItsLine(t *testing.T) {
	text := edit(t, "datacenter: DC0", "datacenter: ''", "prefix: 24", "prefix: 99", "kind: Site", "kind: Bundle", "server: vcenter", "servr: vcenter")
	require.Equal(t, []string{
		fmt.Sprintf(`line %d: kind: is "Bundle", not "Site"`, lineOf(t, text, "kind: Bundle")),
		fmt.Sprintf(`line %d: spec.vcenter: has no field "servr"; did you mean server?`, lineOf(t, text, "vcenter:\n")),
		fmt.Sprintf("line %d: spec.vcenter.server: is empty; it is needed: HOST or HOST:PORT", lineOf(t, text, "vcenter:\n")),
		fmt.Sprintf("line %d: spec.vcenter.datacenter: is empty; it is needed: a name or an inventory path", lineOf(t, text, "datacenter: ''")),
		fmt.Sprintf("line %d: spec.network.addresses.prefix: is 99, not the length of a network's prefix, such as 24", lineOf(t, text, "prefix: 99")),
	}, problems(t, text))
}

func TestParseTakes(t *testing.T) {
	for _, c := range []struct{ old, new string }{
		{"size: small ", "size: {cpus: 2, memoryGiB: 4, diskGiB: 20} "},
		{"{fromEnv: SEALIFT_VCENTER}", "prompt"},
		{"credentials: {fromEnv: SEALIFT_REGISTRY}", ""},
		{"range: 10.20.0.20-10.20.0.40\n      prefix: 24\n      gateway: 10.20.0.1", "dhcp: true"},
		{"# podCIDR: 100.64.0.0/16", "podCIDR: 10.244.0.0/21"},
		{"ntp: [10.20.0.3]", "ntp: [time.site, '10.20.0.3:1123']"},
		{"caFile: vcenter-ca.crt ", "thumbprint: '" + strings.Repeat("AB:", 31) + "AB' #"},
	} {
		_, err := site.Parse([]byte(edit(t, c.old, c.new)), ".")
		require.NoError(t, err, c.new)
	}
}

func TestParseTakesIPv6(t *testing.T) {
	text := edit(t, "range: 10.20.0.20-10.20.0.40\n      prefix: 24\n      gateway: 10.20.0.1\n    controlPlaneEndpoint: 10.20.0.10",
		"range: fd00::20-fd00::40\n      prefix: 64\n      gateway: fd00::1\n    controlPlaneEndpoint: fd00::10")
	require.Len(t, problems(t, text), 2, "pods and services of the other family: the API server would not start")
	text = strings.NewReplacer("# podCIDR: 100.64.0.0/16", "podCIDR: fd64::/56", "# serviceCIDR: 100.96.0.0/16", "serviceCIDR: fd96::/112").Replace(text)
	_, err := site.Parse([]byte(text), ".")
	require.NoError(t, err)
}

// withoutWorkers are the ways to write a cluster of control planes alone.
func withoutWorkers(t *testing.T) []string {
	t.Helper()
	const pool = "    workers:                  # [] lets everything run on the control plane\n      - name: default\n        replicas: 2\n        size: small\n"
	return []string{edit(t, pool, ""), edit(t, pool, "    workers: []\n")}
}

func TestAClusterWithoutWorkers(t *testing.T) {
	for _, text := range withoutWorkers(t) {
		s, err := site.Parse([]byte(text), ".")
		require.NoError(t, err)
		require.Equal(t, 3, s.Spec.Cluster.Nodes())
		require.Equal(t, 5, s.Spec.Cluster.AddressesNeeded(), "three, one for upgrades, and 5 are the least")
	}
	text := strings.Replace(withoutWorkers(t)[0], "range: 10.20.0.20-10.20.0.40", "range: 10.20.0.20-10.20.0.23", 1)
	require.Contains(t, problems(t, text)[0], "has 4 addresses; 3 nodes and the one that an upgrade adds need 5")
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.yaml")
	_, err := site.Load(path)
	require.ErrorContains(t, err, "reading the site: ")
	require.NoError(t, os.WriteFile(path, site.Example(), 0o600))
	s, err := site.Load(path)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(path), "registry-ca.crt"), s.Path(s.Spec.Registry.CAFile))
	require.NoError(t, os.WriteFile(path, []byte("kind: x"), 0o600))
	_, err = site.Load(path)
	require.ErrorContains(t, err, "site "+path+": not valid:")
}

func TestCompletedSiteParsesAgain(t *testing.T) {
	s, err := site.Parse([]byte(edit(t, "sshAuthorizedKeys: []", "")), ".")
	require.NoError(t, err)
	data, err := yaml.Marshal(s)
	require.NoError(t, err)
	again, err := site.Parse(data, ".")
	require.NoError(t, err, "%s", data)
	require.Equal(t, s.Spec, again.Spec)
}

func TestSecretIsNeverShown(t *testing.T) {
	login := site.Login{Username: "u", Password: site.NewSecret("hunter2")}
	require.Equal(t, "hunter2", login.Password.Reveal())
	asJSON, err := json.Marshal(login)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(login)
	require.NoError(t, err)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("login", "login", login, "password", login.Password)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("login", "login", login, "password", login.Password)
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d", login, login, login, login.Password, login.Password, login.Password, login.Password) + string(asJSON) + string(asYAML) + log.String()
	require.NotContains(t, all, "hunter2")
	require.NotContains(t, all, fmt.Sprintf("%x", "hunter2"))
	require.Contains(t, all, "[redacted]")
}

func TestLogins(t *testing.T) {
	dir := t.TempDir()
	parse := func(credentials string) *site.Site {
		s, err := site.Parse([]byte(edit(t, "{fromEnv: SEALIFT_VCENTER}", credentials, "{fromEnv: SEALIFT_REGISTRY}", "{}")), dir)
		require.NoError(t, err)
		return s
	}
	file := filepath.Join(dir, "login.yaml")
	require.NoError(t, os.WriteFile(file, []byte("username: u\npassword: p\n"), 0o600))
	env := map[string]string{"SEALIFT_VCENTER_USERNAME": "u", "SEALIFT_VCENTER_PASSWORD": "p"}
	options := site.LoginOptions{
		Getenv: func(name string) string { return env[name] },
		Prompt: func(string) (site.Login, error) { return site.Login{Username: "u", Password: site.NewSecret("p")}, nil },
	}
	for _, from := range []string{"{fromEnv: SEALIFT_VCENTER}", "{file: login.yaml}", "prompt", "{from: prompt}"} {
		login, err := parse(from).VCenterLogin(options)
		require.NoError(t, err, from)
		require.Equal(t, site.Login{Username: "u", Password: site.NewSecret("p")}, login)
	}
	login, err := parse("prompt").RegistryLogin(options)
	require.NoError(t, err)
	require.Empty(t, login)

	for from, want := range map[string]string{
		"{fromEnv: OTHER}":   "OTHER_USERNAME or OTHER_PASSWORD is not set",
		"{file: other.yaml}": "no such file",
		"prompt":             "there is no terminal to ask",
	} {
		_, err := parse(from).VCenterLogin(site.LoginOptions{Getenv: options.Getenv})
		require.ErrorIs(t, err, site.ErrNoCredentials)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "credentials of vCenter vcenter.north.example")
	}
	require.NoError(t, os.WriteFile(file, []byte("username: u\npasswort: hunter2\n"), 0o600))
	_, err = parse("{file: login.yaml}").VCenterLogin(options)
	require.ErrorContains(t, err, "password: is empty")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.Chmod(file, 0o640))
	_, err = parse("{file: login.yaml}").VCenterLogin(options)
	require.ErrorContains(t, err, "others may read")
}

func FuzzParse(f *testing.F) {
	f.Add(site.Example())
	f.Add([]byte("spec: {network: {addresses: {range: '::-ffff::', prefix: 1}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := site.Parse(data, ".")
		if err == nil {
			require.LessOrEqual(t, s.Spec.Cluster.AddressesNeeded(), max(len(s.Spec.Network.Addresses.All()), s.Spec.Cluster.Nodes()+1, 5))
		}
	})
}
