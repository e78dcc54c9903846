// Package filestore keeps a catalogue in a directory, so that what was acknowledged survives the death of the process
// and of the machine:
//
//	lock                 held by the one server that uses the directory
//	manifest.json        the catalogue, checksummed; replaced as a whole
//	manifest.json.prev   the one before
//	blobs/sha256/<hex>   modules, named by the digest of their content
//	setaside/            what was torn or foreign; never read and never deleted by the store
//	tmp/                 files being written; emptied at start
//	cache/               the engine's compiled code; the store only makes the directory
//
// # Crash safety
//
// Every file is written to tmp/, fsynced, renamed to its place, and the directory of that place fsynced. A blob goes
// through all that before a manifest that names it is begun. The previous manifest is a copy, made before the new one
// takes the place of the current: there is always a manifest.json, the old or the new. When the last step fails (the
// fsync after the rename), nobody can know what would be found after a crash; the rename is undone, and if that fails
// too the store takes no change any more until it is opened again (registry.ErrUncertain).
//
// Foreign files are set aside where the store alone has business: in blobs/, and under the names of the manifests.
// Others at the top of the directory are reported and left alone, for a user may have given a directory that holds
// other things.
//
// # Concurrency
//
// Lock order: saveMu before asideMu. Both are held during file operations of the store and nothing else.
package filestore
