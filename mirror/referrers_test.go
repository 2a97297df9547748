package mirror_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/test/registries"
)

const signatureType, sbomType = "application/vnd.example.signature", "application/vnd.example.sbom"

// signed makes a bundle in which the referrers of an image stand before it: a
// signature, an SBOM, and a signature of the SBOM.
func signed(t *testing.T) (bundle *archive.Reader, image, sbom content.Descriptor) {
	b := archivetest.New(t)
	image = b.Image("amd64", "an image")
	sbom = b.Artifact(sbomType, "an SBOM", &image)
	of := b.Artifact(signatureType, "a signature of the SBOM", &sbom)
	signature := b.Artifact(signatureType, "a signature", &image)
	const name = "docker.io/team/app"
	b.Referrer(name+"@"+of.Digest.String(), of, sbom)
	b.Referrer(name+"@"+signature.Digest.String(), signature, image)
	b.Referrer(name+"@"+sbom.Digest.String(), sbom, image)
	b.Root(name+":1", image)
	return archivetest.Open(t, b.Write()), image, sbom
}

// listed returns the artifact types that the registry lists for a subject, by
// its API or by the tag that takes its place.
func listed(t *testing.T, host string, subject digest.Digest) []string {
	base := "http://" + host + "/v2/site/team/app/"
	body, status := read(t, base+"referrers/"+subject.String())
	if status == http.StatusNotFound {
		body, status = read(t, base+"manifests/"+strings.Replace(subject.String(), ":", "-", 1))
	}
	require.Equal(t, http.StatusOK, status, string(body))
	var index ocispec.Index
	require.NoError(t, json.Unmarshal(body, &index))
	types := []string{}
	for _, d := range index.Manifests {
		types = append(types, d.ArtifactType)
	}
	return types
}

func read(t *testing.T, url string) ([]byte, int) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", ocispec.MediaTypeImageIndex)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return body, resp.StatusCode
}

func TestReferrersAfterSubjects(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			bundle, image, sbom := signed(t)
			result, err := push(t, host, mirror.PushOptions{}, bundle)
			require.NoError(t, err)
			require.ElementsMatch(t, []string{signatureType, sbomType}, listed(t, host, image.Digest))
			require.Equal(t, []string{signatureType}, listed(t, host, sbom.Digest))
			kinds := map[string]int{}
			for _, i := range result.Images {
				kinds[i.Kind]++
			}
			require.Equal(t, map[string]int{archive.RootReferrer: 3, archive.RootImage: 1}, kinds)
			require.Len(t, result.Receipt(time.Now()).Manifests, 4)

			again, err := push(t, host, mirror.PushOptions{}, bundle)
			require.NoError(t, err)
			require.Equal(t, mirror.Tally{There: 4}, again.Manifests)
		})
	}
}

// TestOrderOfManifests looks at the requests: no referrer before its subject.
func TestOrderOfManifests(t *testing.T) {
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	bundle, image, sbom := signed(t)
	_, err := push(t, host, mirror.PushOptions{}, bundle)
	require.NoError(t, err)
	var puts []string
	for _, l := range seen.Lines() {
		if at, ok := strings.CutPrefix(l, "PUT /v2/site/team/app/manifests/sha256:"); ok {
			puts = append(puts, "sha256:"+at)
		}
	}
	require.Len(t, puts, 4)
	require.Equal(t, image.Digest.String(), puts[0])
	require.Equal(t, sbom.Digest.String(), puts[1])
}

// TestCosignTagAfterItsSubject covers a signature that does not name its subject.
func TestCosignTagAfterItsSubject(t *testing.T) {
	b := archivetest.New(t)
	image := b.Image("amd64", "an image")
	signature := b.Artifact(signatureType, "a signature", nil)
	tag := strings.Replace(image.Digest.String(), ":", "-", 1) + ".sig"
	b.Referrer("docker.io/team/app:"+tag, signature, image)
	b.Root("docker.io/team/app:1", image)
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	_, err := push(t, host, mirror.PushOptions{}, archivetest.Open(t, b.Write()))
	require.NoError(t, err)
	lines := seen.Lines()
	put := func(ref string) int { return slices.Index(lines, "PUT /v2/site/team/app/manifests/"+ref) }
	require.Less(t, put(image.Digest.String()), put(signature.Digest.String()))
	require.Less(t, put(signature.Digest.String()), put(tag))
	require.Positive(t, put(image.Digest.String()))
}

// TestReferrersIndexIsKept covers a registry without the referrers API: what
// others have noted in the tag stays, and what a run that was cut off did not
// note is noted later.
func TestReferrersIndexIsKept(t *testing.T) {
	host := registries.Docker(t)
	b := archivetest.New(t)
	image := b.Image("amd64", "an image")
	b.Root("docker.io/team/app:1", image)
	earlier := b.Artifact("application/vnd.example.earlier", "of the site", &image)
	b.Referrer("docker.io/team/app@"+earlier.Digest.String(), earlier, image)
	_, err := push(t, host, mirror.PushOptions{}, archivetest.Open(t, b.Write()))
	require.NoError(t, err)
	require.Equal(t, []string{"application/vnd.example.earlier"}, listed(t, host, image.Digest))

	bundle, _, sbom := signed(t)
	_, err = push(t, host, mirror.PushOptions{}, bundle)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"application/vnd.example.earlier", signatureType, sbomType}, listed(t, host, image.Digest))

	// As if the run had ended between the manifest and the index that names it.
	empty := strings.NewReader(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/v2/site/team/app/manifests/"+strings.Replace(sbom.Digest.String(), ":", "-", 1), empty)
	require.NoError(t, err)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageIndex)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	again, err := push(t, host, mirror.PushOptions{}, bundle)
	require.NoError(t, err)
	require.Equal(t, 1, again.Manifests.Sent)
	require.Equal(t, []string{signatureType}, listed(t, host, sbom.Digest))
}

// TestOrasDiscover asks another program.
func TestOrasDiscover(t *testing.T) {
	oras, err := filepath.Abs("../.tools/bin/oras")
	require.NoError(t, err)
	_, err = exec.LookPath(oras)
	require.NoError(t, err, "oras is needed: run make tools")
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			bundle, image, _ := signed(t)
			_, err := push(t, host, mirror.PushOptions{}, bundle)
			require.NoError(t, err)
			out, err := exec.CommandContext(t.Context(), oras, "discover", "--plain-http", "--format", "json", host+"/site/team/app@"+image.Digest.String()).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), signatureType)
			require.Contains(t, string(out), sbomType)
		})
	}
}
