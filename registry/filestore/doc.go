// Package filestore stores a catalogue in a directory, so that acknowledged changes survive a crash of the
// process or the machine:
//
//	lock                 held by the one server that uses the directory
//	manifest.json        the catalogue, with a checksum; replaced as a whole
//	manifest.json.prev   the previous manifest
//	blobs/sha256/<hex>   modules, named by the digest of their content
//	setaside/            torn or foreign files; never read and never deleted by the store
//	tmp/                 files being written; emptied at start
//	cache/               the engine's compiled code; the store only creates the directory
//	queue/               requests of durable queues; the store only creates the directory
//	follow/              the primary that the catalogue is a copy of; the store only knows the name
//	lambda/              files of the Lambda API; the store only reads functions.json of earlier releases
//
// # Crash safety
//
// Every file is written to tmp/, fsynced and renamed to its place, and the directory of that place is
// fsynced. A blob is completely stored before a manifest that refers to it is begun. The previous manifest is
// a copy, made before the new one replaces the current: there is always a manifest.json, the old or the new.
// If the last step fails (the fsync after the rename), the content after a crash is unknown. The rename is
// then undone. If that fails too, the store refuses changes until it is opened again (registry.ErrUncertain).
//
// Foreign files are set aside only where the store owns the names: in blobs/, and under the names of the
// manifests. Others at the top of the directory are reported and left alone, because a user may have chosen a
// directory with other content.
//
// # Concurrency
//
// Lock order: saveMu before asideMu. Both are held only during file operations of the store.
package filestore
