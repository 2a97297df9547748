package runtimeconfig_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/distribution/reference"
	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/runtimeconfig"
	"github.com/sealift/sealift/test/golden"
	"github.com/sealift/sealift/test/registries"
)

const siteCA = `-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIUTdkLll6gCW1Yhu1QKrrJwzxJQJUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc2l0ZSBhdXRob3JpdHkwHhcNMjYxMTIxMDgzNzIwWhcNMzYx
MTE4MDgzNzIwWjAZMRcwFQYDVQQDDA5zaXRlIGF1dGhvcml0eTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABGj+1JNXaEFvX7+5auuhSajI1PDfJAwd9aBoz34Z9hdW
+YcErirvwSR7eucuT9AexZCIsnE1GwZTMWrYjlzA9GmjUzBRMB0GA1UdDgQWBBQJ
Ggbq6jA2/1nHHXQE2v3hcKWe9TAfBgNVHSMEGDAWgBQJGgbq6jA2/1nHHXQE2v3h
cKWe9TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDi37CtzDHU
cryZW9GhFz/KHMRKFYzvRgjLvJk3stn8cAIhAKdEFMdBj9xnHrO71Pxgw2bVuOA+
SJzbQJvA+M53ZpYD
-----END CERTIFICATE-----
`

func mapping(t *testing.T, base string, rules ...string) *mirror.Mapping {
	m, err := mirror.ParseMapping(base, rules)
	require.NoError(t, err)
	return m
}

func TestGolden(t *testing.T) {
	ca := []byte(siteCA)
	sources := []string{"docker.io/library/nginx:1.27", "quay.io/jetstack/cert-manager-controller:v1", "registry.corp:5000/team/app:1", "[fd00::5]:5000/team/app:1"}
	for name, c := range map[string]struct {
		runtime  runtimeconfig.Runtime
		registry string
		mapping  *mirror.Mapping
		opts     runtimeconfig.Options
	}{
		"containerd-default":  {"containerd", "registry.site:5000", mapping(t, "mirror", "quay.io=quay"), runtimeconfig.Options{CA: ca}},
		"containerd-images":   {"containerd", "registry.site", mapping(t, ""), runtimeconfig.Options{Images: sources, CA: ca}},
		"containerd-fallback": {"containerd", "[fd00::1]", mapping(t, "mirror"), runtimeconfig.Options{Hosts: []string{"docker.io", "_default"}, PlainHTTP: true, Fallback: true}},
		"k3s-default":         {"k3s", "registry.site:5000", mapping(t, "mirror", "quay.io=quay"), runtimeconfig.Options{CA: ca, Username: "node", Password: `pa: "ss" #1`}},
		"k3s-routes": {"k3s", "registry.site", mapping(t, "", "quay.io/team.x=teamx", "quay.io/jetstack="),
			runtimeconfig.Options{Hosts: []string{"quay.io"}, CA: ca, Fallback: true, Dir: "/etc/rancher/rke2"}},
		"crio-images":   {"crio", "registry.site:5000", mapping(t, "mirror", "quay.io=quay", "quay.io/jetstack=cm"), runtimeconfig.Options{Images: sources, CA: ca}},
		"crio-fallback": {"crio", "registry.site:5000", mapping(t, "mirror"), runtimeconfig.Options{Hosts: []string{"quay.io"}, PlainHTTP: true, Fallback: true}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := runtimeconfig.New(c.runtime, c.registry, c.mapping, c.opts)
			require.NoError(t, err)
			requireFiles(t, name, config)
			for _, f := range config.Files {
				require.NotRegexp(t, "skip_verify|insecure_skip", string(f.Content))
				require.Equal(t, strings.Contains(string(f.Content), "insecure = true"), c.runtime == "crio" && c.opts.PlainHTTP)
			}
		})
	}
}

// requireFiles compares a configuration with testdata/NAME.txtar.
func requireFiles(t *testing.T, name string, config *runtimeconfig.Config) {
	var got txtar.Archive
	for _, w := range config.Warnings {
		got.Comment = append(got.Comment, "warning: "+w+"\n"...)
	}
	for _, n := range config.Notes {
		got.Comment = append(got.Comment, strings.TrimSpace(n)+"\n"...)
	}
	for _, f := range config.Files {
		got.Files = append(got.Files, txtar.File{Name: f.Mode.String() + " " + f.Path, Data: f.Content})
	}
	golden.Equal(t, filepath.Join("testdata", name+".txtar"), txtar.Format(&got))
}

// where returns what a runtime asks for an image, as HOST/REPOSITORY, in the
// order in which it asks, by the rules of that runtime.
type where func(t *testing.T, config *runtimeconfig.Config, dir string, named reference.Named) []string

// TestEveryImageIsAskedForWhereTheMappingPutsIt reads the configuration back
// as the runtimes do.
func TestEveryImageIsAskedForWhereTheMappingPutsIt(t *testing.T) {
	images := []string{"docker.io/library/nginx:1.27", "docker.io/rancher/k3s:v1", "quay.io/jetstack/controller:v1", "quay.io/team.x/app:1", "quay.io/teamyx/app:1",
		"quay.io/other/deep/app@sha256:7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f7c1f", "registry.corp:5000/team/app:1", "[fd00::5]:5000/team/app:1"}
	for name, c := range map[string]struct {
		base    string
		rules   []string
		images  []string // those of images that there are; default all
		refused string   // the runtimes that cannot
	}{
		"plain":                         {},
		"prefix":                        {base: "site/mirror"},
		"hosts":                         {base: "m", rules: []string{"quay.io=quay", "registry.corp:5000=corp", "[fd00::5]:5000=six"}},
		"hosts without a prefix":        {rules: []string{"quay.io=quay"}},
		"a part":                        {rules: []string{"quay.io/jetstack=cm"}, refused: "containerd"},
		"two parts":                     {rules: []string{"quay.io/jetstack=cm", "quay.io/team.x=x"}, refused: "containerd"},
		"a part left out":               {rules: []string{"quay.io/jetstack="}, refused: "containerd"},
		"a part below a prefix":         {base: "m", rules: []string{"quay.io/jetstack=cm"}, refused: "containerd k3s"},
		"a part of a host":              {rules: []string{"quay.io/jetstack=cm", "quay.io=quay"}, refused: "containerd k3s"},
		"twice the same":                {rules: []string{"quay.io/jetstack=cm", "quay.io/jetstack=", "registry.corp:5000=corp", "registry.corp:5000=other"}, refused: "containerd"},
		"a part that stays":             {rules: []string{"quay.io/jetstack=quay/jetstack", "quay.io=quay"}},
		"parts within parts":            {rules: []string{"quay.io/other=o", "quay.io/other/deep=d"}, images: images[4:6], refused: "containerd"},
		"parts within parts, both":      {rules: []string{"quay.io/jetstack/controller=c", "quay.io/jetstack=j"}, refused: "containerd"},
		"a part that no image needs":    {rules: []string{"quay.io/nobody=n"}},
		"only images of a part":         {base: "m", rules: []string{"quay.io/jetstack=cm"}, images: images[:3], refused: "containerd"},
		"a whole repository":            {rules: []string{"quay.io/jetstack/controller=cm"}, refused: "containerd"},
		"a whole repository, left out":  {rules: []string{"quay.io/jetstack/controller="}, refused: "containerd k3s crio"},
		"of no host":                    {rules: []string{"jetstack=cm"}},
		"a host whose name begins same": {rules: []string{"quay.io/team=t"}},
	} {
		if c.images == nil {
			c.images = images
		}
		for runtime, asks := range map[runtimeconfig.Runtime]where{runtimeconfig.Containerd: askContainerd, runtimeconfig.K3s: askK3s, runtimeconfig.CRIO: askCRIO} {
			t.Run(string(runtime)+" "+name, func(t *testing.T) {
				m, dir := mapping(t, c.base, c.rules...), t.TempDir()
				config, err := runtimeconfig.New(runtime, "registry.site:5000", m, runtimeconfig.Options{Images: c.images, CA: []byte(siteCA), Dir: dir})
				if strings.Contains(c.refused, string(runtime)) {
					require.Equal(t, problem.Usage, problem.KindOf(err))
					require.ErrorContains(t, err, "quay.io/")
					return
				}
				require.NoError(t, err)
				_, err = runtimeconfig.Write("/", config.Files, runtimeconfig.WriteOptions{})
				require.NoError(t, err)
				for _, image := range c.images {
					named, err := reference.ParseNormalizedNamed(image)
					require.NoError(t, err)
					want, _, err := m.Repository(image)
					require.NoError(t, err)
					for _, got := range asks(t, config, dir, named) {
						require.Equal(t, "registry.site:5000/"+want, got, image)
					}
				}
			})
		}
	}
}

// askContainerd asks containerd's own reader of its own files.
func askContainerd(t *testing.T, _ *runtimeconfig.Config, dir string, named reference.Named) []string {
	hosts, err := containerd.ConfigureHosts(t.Context(), containerd.HostOptions{HostDir: containerd.HostDirFromRoot(dir)})(reference.Domain(named))
	require.NoError(t, err)
	require.Len(t, hosts, 2)
	var out []string
	for _, h := range hosts {
		require.Equal(t, "https", h.Scheme)
		out = append(out, h.Host+strings.TrimPrefix(h.Path, "/v2")+"/"+reference.Path(named))
	}
	return out
}

// askK3s does as k3s does: the first rewrite that changes the name is taken,
// in no order, here in every order.
func askK3s(t *testing.T, config *runtimeconfig.Config, _ string, named reference.Named) []string {
	var r struct {
		Mirrors map[string]struct {
			Endpoint []string
			Rewrite  map[string]string
		}
		Configs map[string]struct {
			TLS struct {
				CAFile string `json:"ca_file"`
			}
		}
	}
	require.NoError(t, yaml.UnmarshalStrict(last(config), &r, yaml.DisallowUnknownFields), "%s", last(config))
	m, ok := r.Mirrors[reference.Domain(named)]
	require.True(t, ok)
	require.Equal(t, []string{"https://registry.site:5000"}, m.Endpoint)
	var out []string
	for pattern, replacement := range m.Rewrite {
		require.NotContains(t, pattern, `\`)
		if got := regexp.MustCompile(pattern).ReplaceAllString(reference.Path(named), replacement); got != reference.Path(named) {
			out = append(out, "registry.site:5000/"+got)
		}
	}
	if out == nil {
		out = []string{"registry.site:5000/" + reference.Path(named)}
	}
	return out
}

// askCRIO does as containers/image does: the longest prefix counts.
func askCRIO(t *testing.T, config *runtimeconfig.Config, _ string, named reference.Named) []string {
	var r struct {
		Unqualified []string `toml:"unqualified-search-registries"`
		Registry    []struct {
			Prefix, Location string
			Blocked          bool
			Mirror           []struct{ Location string }
		}
	}
	require.NoError(t, toml.Unmarshal(last(config), &r))
	best, at := "", ""
	for _, reg := range r.Registry {
		rest, ok := strings.CutPrefix(named.Name(), reg.Prefix)
		if ok && (rest == "" || rest[0] == '/') && len(reg.Prefix) > len(best) {
			require.True(t, reg.Blocked)
			require.Len(t, reg.Mirror, 1)
			best, at = reg.Prefix, reg.Mirror[0].Location+rest
		}
	}
	require.NotEmpty(t, best)
	return []string{at}
}

func last(config *runtimeconfig.Config) []byte { return config.Files[len(config.Files)-1].Content }

func TestWithoutImagesRulesAreAsTheyStand(t *testing.T) {
	opts := runtimeconfig.Options{Hosts: []string{"docker.io"}}
	_, err := runtimeconfig.New("containerd", "r.site", mapping(t, "", "quay.io/jetstack=cm"), opts)
	require.NoError(t, err, "a mapping of a host that is not configured")
	for _, c := range []struct {
		runtime runtimeconfig.Runtime
		rules   []string
		reason  string
	}{
		{"containerd", []string{"docker.io/library=lib"}, "only a whole host"},
		{"k3s", []string{"docker.io/library=lib", "docker.io=hub"}, "docker.io/library cannot be written: it lies within docker.io, and k3s tries"},
		{"k3s", []string{"docker.io/a/b=ab", "docker.io/a=a2"}, "docker.io/a/b cannot be written: it lies within docker.io/a, and"},
	} {
		_, err := runtimeconfig.New(c.runtime, "r.site", mapping(t, "", c.rules...), opts)
		require.ErrorContains(t, err, c.reason)
		require.Contains(t, problem.Remedies(err)[0], "--prefix docker.io=NAME")
	}
}

func TestTheMirrorItself(t *testing.T) {
	// A source that is the mirror is neither blocked nor configured twice.
	m := mapping(t, "site")
	config, err := runtimeconfig.New("crio", "r.site", m, runtimeconfig.Options{Hosts: []string{"r.site"}})
	require.NoError(t, err)
	require.NotContains(t, string(last(config)), "blocked")
	require.Contains(t, string(last(config)), `location = "r.site/site"`)
	config, err = runtimeconfig.New("containerd", "r.site", m, runtimeconfig.Options{Hosts: []string{"r.site"}})
	require.NoError(t, err)
	require.Len(t, config.Files, 1)
	config, err = runtimeconfig.New("k3s", "r.site", m, runtimeconfig.Options{Hosts: []string{"r.site"}})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(last(config)), "r.site:\n"))
}

func TestRefused(t *testing.T) {
	authority := registries.NewAuthority(t)
	_, keyFile := authority.Issue("server", time.Now().Add(time.Hour))
	key, err := os.ReadFile(keyFile)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		runtime runtimeconfig.Runtime
		rule    string
		opts    runtimeconfig.Options
		reason  string
	}{
		"a runtime":               {"docker", "", runtimeconfig.Options{}, `no runtime "docker"`},
		"a host":                  {"k3s", "", runtimeconfig.Options{Hosts: []string{"hub"}}, `"hub" is no host`},
		"a host with a path":      {"k3s", "", runtimeconfig.Options{Hosts: []string{"quay.io/team"}}, `"quay.io/team" is no host`},
		"another name":            {"containerd", "", runtimeconfig.Options{Hosts: []string{"index.docker.io"}}, `"index.docker.io" is no host`},
		"a host that climbs":      {"containerd", "", runtimeconfig.Options{Hosts: []string{"../etc"}}, `"../etc" is no host`},
		"a wildcard":              {"k3s", "", runtimeconfig.Options{Hosts: []string{"*"}}, `"*" is no host`},
		"a rule of no host":       {"k3s", "jetstack=cm", runtimeconfig.Options{}, `"jetstack" is no host`},
		"a rule to quote":         {"crio", `quay.io/a"b=cm`, runtimeconfig.Options{Hosts: []string{"quay.io"}}, `the source of the mapping "quay.io/a\"b=cm"`},
		"a rule of an expression": {"k3s", "quay.io/a(b=cm", runtimeconfig.Options{}, `the source of the mapping "quay.io/a(b=cm"`},
		"every host, for CRI-O":   {"crio", "", runtimeconfig.Options{Hosts: []string{"_default"}}, "no setting for every host"},
		"an image":                {"crio", "", runtimeconfig.Options{Images: []string{"Nginx"}}, `the image "Nginx"`},
		"a folder":                {"crio", "", runtimeconfig.Options{Dir: "etc"}, `the folder on the node, "etc"`},
		"a folder to quote":       {"crio", "", runtimeconfig.Options{Dir: `/etc/"x`}, "cannot be written"},
		"a folder with dots":      {"crio", "", runtimeconfig.Options{Dir: "/etc/../x"}, "cannot be written"},
		"no TLS and authority":    {"crio", "", runtimeconfig.Options{PlainHTTP: true, CA: []byte(siteCA)}, "without TLS"},
		"no certificate":          {"crio", "", runtimeconfig.Options{CA: []byte("hello")}, "holds no certificate"},
		"a key":                   {"crio", "", runtimeconfig.Options{CA: append([]byte(siteCA), key...)}, "holds a EC PRIVATE KEY"},
		"a damaged certificate":   {"crio", "", runtimeconfig.Options{CA: []byte(strings.Replace(siteCA, "MIIB", "MIIC", 1))}, "certificate 1 of the authority"},
		"no password":             {"k3s", "", runtimeconfig.Options{Username: "u"}, "without a password"},
		"credentials":             {"containerd", "", runtimeconfig.Options{Username: "u", Password: "p"}, "containerd takes no credentials"},
		"an image of no place":    {"crio", "quay.io/app=", runtimeconfig.Options{Images: []string{"quay.io/app:1"}}, `the mapping puts it at "app"`},
		"a mapping, with images":  {"containerd", "quay.io/a=b", runtimeconfig.Options{Images: []string{"quay.io/a/c:1"}}, "which quay.io/a/c:1 needs"},
	} {
		t.Run(name, func(t *testing.T) {
			var rules []string
			if c.rule != "" {
				rules = []string{c.rule}
			}
			_, err := runtimeconfig.New(c.runtime, "registry.site", mapping(t, "", rules...), c.opts)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, problem.Usage, problem.KindOf(err))
			require.NotContains(t, err.Error(), `"p"`)
		})
	}
}

func TestContainerdPatch(t *testing.T) {
	for major, plugin := range map[int]string{1: "io.containerd.grpc.v1.cri", 2: "io.containerd.cri.v1.images"} {
		var c struct {
			Plugins map[string]struct {
				Registry struct {
					ConfigPath string `toml:"config_path"`
				}
			}
		}
		require.NoError(t, toml.Unmarshal([]byte(runtimeconfig.ContainerdPatch(major, "/etc/containerd/certs.d")), &c))
		require.Equal(t, "/etc/containerd/certs.d", c.Plugins[plugin].Registry.ConfigPath)
	}
}

// FuzzPlaces: whatever the rules, an image is asked for where the mapping puts
// it, or the rules are refused.
func FuzzPlaces(f *testing.F) {
	f.Add("site", "quay.io=quay", "quay.io/a/b=c", "quay.io/a/b/d:1")
	f.Add("", "quay.io/a/b=", "quay.io/a=b", "quay.io/a/b:1")
	f.Fuzz(func(t *testing.T, base, one, two, image string) {
		m, err := mirror.ParseMapping(base, []string{one, two})
		if err != nil {
			t.Skip()
		}
		named, err := reference.ParseNormalizedNamed(image)
		if err != nil {
			t.Skip()
		}
		for runtime, asks := range map[runtimeconfig.Runtime]where{runtimeconfig.K3s: askK3s, runtimeconfig.CRIO: askCRIO} {
			config, err := runtimeconfig.New(runtime, "registry.site:5000", m, runtimeconfig.Options{Images: []string{image}})
			if err != nil || reference.Domain(named) == "registry.site:5000" {
				continue
			}
			want, _, err := m.Repository(image)
			require.NoError(t, err)
			require.Equal(t, []string{"registry.site:5000/" + want}, slices.Compact(asks(t, config, "", named)))
			require.True(t, path.IsAbs(config.Files[0].Path))
		}
	})
}
