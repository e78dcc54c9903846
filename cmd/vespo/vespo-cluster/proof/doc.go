// Package proof has the test of the cluster as a whole: three nodes of etcd, three hosts and PostgreSQL as processes, with a network
// between them that fails, under clients that deploy, roll back, remove and call, and send events. Package history decides whether what the
// clients have seen is right. The long mode is
//
//	GOWORK=off go test ./proof -run TestProof -rounds 300 -timeout 60m
//
// A seed, which the test prints, repeats the faults and what the clients ask for. It does not repeat what the processes do
// at the same time.
package proof
