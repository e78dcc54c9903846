// Command bench measures Vespo beside what it is to be compared with, and prints tables. From the root of the repository:
//
//	go run ./bench
//
// Each server is a process of its own on a free port of the loopback interface, and this process is the client of all. Servers
// that are compared take turns of a fraction of a second each, round after round, so that whatever else the machine does
// hits them alike; what is printed are medians over the rounds, and how far the middle half of them spreads. Processor time
// is the server process's own, from the kernel's clock for it: on a machine that is busy it says more than requests per second,
// which the client has a part in.
//
// It needs Linux, for the processor time and the memory of other processes. It stops by itself, after some three minutes with
// compiled code and built guests of an earlier run; "-tables" chooses what is measured, the other flags for how long.
//
// Goals are printed beside what was measured. Missing one is no failure: the exit code is 0 unless something broke.
package main
