package cli

import "github.com/spf13/cobra"

func (a *app) bundle() *cobra.Command {
	return group("bundle", "Make bundles, verify them and look inside",
		a.bundleInit(), a.bundleCreate(), a.bundleVerify(), a.bundleInspect(), a.bundleDiff(), a.bundleSBOM(), a.bundleDiscover(), a.bundleExtract(),
		a.bundleSplit(), a.bundleEncrypt(), a.bundleDecrypt(), a.bundleSchema())
}

func (a *app) mirror() *cobra.Command {
	return group("mirror", "Fill a registry from bundles, or serve bundles as a registry", a.mirrorPush(), a.mirrorList(), a.mirrorPrune(), a.mirrorServe(), a.mirrorJob(), a.mirrorConfig())
}

func (a *app) registry() *cobra.Command {
	return group("registry", "Run a registry", a.registryServe(), a.registryUser(), a.registryGC())
}
