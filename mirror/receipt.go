package mirror

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/receipt"
)

// Receipt returns what the registry holds now: only what this run saw there,
// or sent and had accepted. at is the time to state. It returns nil when the
// run did not see everything: a dry run, or a shard that was not the last.
func (r *PushResult) Receipt(at time.Time) *receipt.Receipt {
	if r.receipt == nil {
		return nil
	}
	out := *r.receipt
	out.Time = at
	out.Normalize()
	return &out
}

// receipt writes down what was seen.
func (p *pusher) receipt(bundles []*archive.Reader, m *Mapping) *receipt.Receipt {
	out := &receipt.Receipt{APIVersion: archive.APIVersion, Kind: receipt.Kind, Registry: p.host, Prefix: m.Prefix(),
		Images: []receipt.Image{}, Manifests: seen(p.manifestsHeld), Blobs: seen(p.held)}
	for _, b := range bundles {
		s := b.Statement()
		out.Bundles = append(out.Bundles, archive.Base{Name: s.Name, Version: s.Version, Statement: b.StatementDigest()})
	}
	for _, image := range p.result.Images {
		out.Images = append(out.Images, receipt.Image{Kind: image.Kind, Reference: image.Source, Target: image.Target, Digest: digest.Digest(image.Digest)})
	}
	return out
}

func seen(sizes map[digest.Digest]int64) []receipt.Blob {
	out := make([]receipt.Blob, 0, len(sizes))
	for d, size := range sizes {
		out = append(out, receipt.Blob{Digest: d, Size: size})
	}
	return out
}
