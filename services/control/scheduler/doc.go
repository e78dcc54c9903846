// Package scheduler runs the schedules of services: at the times of a schedule, its service gets a request through the
// router, with the admission, the limits and the access record of every request.
//
// # Rules
//
// Times are looked at in order, and none runs twice. A schedule has one run at a time: a time that comes during a run,
// or while another one waits for its turn, is skipped. Times that passed while the server was stopped or its clock was
// put forward are missed: the latest of them is made up for if it is within the grace of its service. A clock that is put
// back by more than maxSetBack was wrong before, and times after it count anew; for less, a schedule waits until the clock
// is where it was.
//
// What has been run is stored before it starts, so that a crash does not repeat it. A run that is interrupted by a crash
// is not repeated either. Storing can fail: then the schedules run all the same.
//
// # Concurrency
//
// One goroutine, that of Run, looks at the clock, starts runs and stores. Each run has a goroutine, which Close waits
// for, as does the watch of the catalogue within Run. At most Config.Runs runs of schedules go on at a time, and at most
// a part of them for one service; others wait in order. mu guards the schedules, and is not held while a service is
// called or a file is written. saving is held while a file is written; it is taken before mu.
package scheduler
