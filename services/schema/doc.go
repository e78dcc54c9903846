// Package schema describes the fields of services. Each kind of service describes its own fields once. The management
// API, the configuration file, the flags of the command line, the listing of changes and the reference pages follow
// from that description.
//
// A request names fields. [Collect] turns them into [Values], which have one canonical form: the manifest, a
// JSON object that the catalogue stores. Fields with their default value are not part of it, so that equal services
// have equal manifests. Modules are not part of it either: they are blobs of the version.
//
// The package has no state.
package schema
