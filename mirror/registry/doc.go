// Package registry is the remote side: one client for all registries of a run,
// with credentials, TLS, retries and limits, and repositories that content is
// taken from and brought to.
//
// Requests, tokens and credential stores are oras-go's. What is added here is
// what moving large content over bad lines needs: readers that go on where
// they were cut off, uploads in chunks, a watchdog for stalled connections, and
// errors that name the remedy.
package registry
