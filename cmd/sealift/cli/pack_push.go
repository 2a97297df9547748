package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/packs"
)

// pushedPack is what sealift pack push -o json prints.
type pushedPack struct {
	Reference string `json:"reference"` // HOST/BASE/spectro-packs/archive/NAME:VERSION
	Digest    string `json:"digest"`
	Files     int    `json:"files"`
}

func (a *app) packPush() *cobra.Command {
	var out output
	var reg registryFlags
	var opts packs.PushOptions
	cmd := &cobra.Command{
		Use:   "push DIR|ARCHIVE REGISTRY[/BASE]",
		Short: "Push a pack to a registry as an OCI artifact",
		Long: `Checks the pack as sealift pack lint does and pushes it, unless it has errors, to
REGISTRY/BASE/spectro-packs/archive/NAME:VERSION: one layer a file, so that oras pull gives the files back. What the
registry has is not sent again. A "+" in the version becomes "_" in the tag.`,
		Example: `  sealift pack push argocd-3.3.5 harbor.site/packs --registry-ca ca.crt
  oras pull harbor.site/packs/spectro-packs/archive/argo-cd:3.3.5`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			pushed, err := a.pushPack(cmd.Context(), args[0], args[1], &reg, opts)
			if err != nil {
				return err
			}
			return out.print(a.Out, pushed, func(w io.Writer) {
				table(w, [][]string{{"PACK", "DIGEST", "FILES"}, {pushed.Reference, pushed.Digest, plural(pushed.Files, "file")}})
			})
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	jobsFlag(cmd, &opts.Jobs, "`number` of files to send at once (default 8)")
	reg.addTo(cmd)
	return cmd
}

func (a *app) pushPack(ctx context.Context, path, target string, reg *registryFlags, opts packs.PushOptions) (*pushedPack, error) {
	host, base, err := splitTarget(target)
	if err != nil {
		return nil, err
	}
	p, err := packs.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer p.Close() //nolint:errcheck // opened for reading
	if err := a.sound(p); err != nil {
		return nil, err
	}
	client, err := reg.client(host)
	if err != nil {
		return nil, err
	}
	name := host + "/" + strings.TrimPrefix(base+"/"+p.Repository(), "/")
	repo, err := client.Repository(name)
	if err != nil {
		return nil, err
	}
	artifact, err := p.Artifact(ctx)
	if err != nil {
		return nil, err
	}
	reporter, wait := a.progress()
	opts.Progress = reporter
	err = artifact.Push(ctx, repo, p.Tag(), opts)
	wait()
	if err != nil {
		return nil, err
	}
	return &pushedPack{Reference: name + ":" + p.Tag(), Digest: artifact.Descriptor.Digest.String(), Files: len(artifact.Layers)}, nil
}
