package preflight

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

func (e *examination) contentChecks() []check {
	return []check{
		{name: "content-version", run: e.contentVersion},
		{name: "content-complete", timeout: contentTimeout, run: e.contentComplete},
		{name: "content-reachable", timeout: contentTimeout, needs: []string{"registry-pull"}, run: e.contentReachable},
	}
}

// noBundle is why nothing can be said of content.
func noBundle() finding { return skipped("no bundle was given: --bundle FILE --key PUB") }

// contentVersion compares the version that the site asks for, if any, with that
// of the release.
func (e *examination) contentVersion(context.Context) finding {
	asked, brought := e.site.Spec.Cluster.KubernetesVersion, e.options.Release.KubernetesVersion
	switch {
	case e.options.Bundle == nil:
		return noBundle()
	case e.options.Release.Err != nil:
		return skipped("because of content-complete")
	case brought == "":
		return skipped("the bundle's release does not say which version of Kubernetes it has")
	case asked != "" && asked != brought:
		return failed("leave out spec.cluster.kubernetesVersion, or take the bundle of that version", "the bundle brings Kubernetes %s, the site asks for %s", brought, asked)
	}
	return ok("the bundle brings Kubernetes %s", brought)
}

// contentComplete proves that everything that the release and the bundle's
// charts, packs and manifests name travels in it.
func (e *examination) contentComplete(ctx context.Context) finding {
	if e.options.Bundle == nil {
		return noBundle()
	}
	if err := e.options.Release.Err; err != nil {
		return failedWith(err)
	}
	faults, err := closure.Prove(ctx, e.options.Bundle)
	if err != nil {
		return failedWith(err)
	}
	faults = slices.Concat(e.options.Release.Missing, faults)
	s := e.options.Bundle.Statement()
	if len(faults) > 0 {
		var texts []string
		for _, f := range faults[:min(len(faults), maxTold)] {
			texts = append(texts, f.Error())
		}
		return failed("make the bundle again with what is missing", "%s %s lacks: %s%s", s.Name, s.Version, strings.Join(texts, "; "), more(len(faults)-maxTold))
	}
	return ok("%s %s has everything that it names: %d images, %d blobs", s.Name, s.Version, images(s), len(s.Blobs))
}

func images(s *archive.Statement) int {
	n := 0
	for _, r := range s.Roots {
		if r.Kind == archive.RootImage {
			n++
		}
	}
	return n
}

// contentReachable looks for every digest: in the registry, or in the bundle.
func (e *examination) contentReachable(ctx context.Context) finding {
	if e.options.Bundle == nil {
		return noBundle()
	}
	if e.registry.unmade {
		return ok("nothing is in Harbor's project, which is still to be made: all will be pushed from the bundle")
	}
	r := e.site.Spec.Registry
	m, err := mirror.ParseMapping(r.Prefix, nil)
	if err != nil {
		return failedWith(err)
	}
	result, err := mirror.Push(ctx, []*archive.Reader{e.options.Bundle}, e.registry.client, r.Endpoint, m, mirror.PushOptions{DryRun: true})
	if errors.Is(err, mirror.ErrBaseMissing) {
		return failed("push the base of this delta first, or install from a full bundle", "%v", err)
	}
	if err != nil {
		return failed(inSite(strings.Join(problem.Remedies(err), "; ")), "%v", err)
	}
	there := result.Blobs.There + result.Manifests.There
	return ok("%d blobs and manifests are in the registry, %d will be pushed from the bundle", there, result.Blobs.Sent+result.Blobs.Mounted+result.Manifests.Sent)
}
