"""Small programs, the folder of which is the verdict: what is in ``fails`` must be found, what is in ``holds`` never.

A program is a module with one function, ``program()``. It makes all of its state afresh, brings its own threads through
:func:`ftcheck.concurrently`, in the order in which they are created, or starts them itself where its bug is about that, and
raises, or does not end, when the bug shows. Its twin of the same name in ``holds`` differs by the correction only, and is
correct under every interleaving of single attribute and container operations. ``holds`` has a few more that never had a
bug. Nothing depends on chance, on the order of hashes, or on time, unless the program is about time.

Both engines run them. The parallel one finds those with long loops or sleeping steps; the others are small enough for every
interleaving to be tried, and need one or two preemptions, or none.

**Programs of SCTBench**, the benchmark of: Paul Thomson, Alastair F. Donaldson, Adam Betts, "Concurrency Testing Using
Schedule Bounding: an Empirical Study", PPoPP 2014 (https://github.com/mc-imperial/sctbench). Written afresh from a
description of their shared reads, writes and locks; no code was copied. Those of several sizes are in ``families``.

======================================  ===============================================================================
here                                    there
======================================  ===============================================================================
account, arithmetic_prog, carter01,     CS/..._bad
circular_buffer, deadlock01, lazy01,
token_ring
queue_sctbench, stack_sctbench          CS/queue_bad, CS/stack_bad (renamed: ``queue`` is a module of Python)
reorder_3, _4, _5, _10, _20             CS/reorder_N_bad: N threads
twostage, twostage_20                   CS/twostage_bad, CS/twostage_20_bad
wronglock, wronglock_3                  CS/wronglock_bad, CS/wronglock_3_bad: 7 and 3 threads beside the one that checks
bluetooth                               CS/bluetooth_driver_bad; first in: Shaz Qadeer, Dinghao Wu, "KISS: Keep It
                                        Simple and Sequential", PLDI 2004
stringbuffer                            CB/stringbuffer-jdk1.4
work_steal_queue,                       chess/WorkStealQueue, chess/InterlockedWorkStealQueue: with one thief
interlocked_work_steal_queue
dpor_example1 (``holds`` only)          inspect/dpor-example1, smaller; first in: Cormac Flanagan, Patrice Godefroid,
                                        "Dynamic Partial-Order Reduction for Model Checking Software", POPL 2005
======================================  ===============================================================================

Where they deviate: all threads are joined; a condition is notified with its lock held, as Python demands; the owner of a
work-stealing queue is a body like the thief, not the main thread; in bluetooth, stopping waits for an event.

**The classic bugs of Python programs**:

======================================  ===============================================================================
read, then write                        lost_update_*, increment_*, read_modify_write_dict, max_seen, swap_items,
                                        lock_dropped, wrong_lock, rlock_not_shared, executor_lost_update, own_threads
look, then act                          check_then_act, check_then_pop, check_then_delete, set_add_check, lazy_init,
                                        lazy_singleton, missing_hook, setdefault_misuse, cached_property_twice,
                                        lru_cache_twice, worker_started_twice, timer_vs_cancel, queue_empty_then_get,
                                        index_of_append, list_index_shift, deque_rotate, aba_stack,
                                        dead_without_result
half of a change is seen                torn_pair, two_field_tearing, double_checked_locking, publish_too_early,
                                        current_user
iterators                               iterate_while_mutating, iterate_while_adding, shared_iterator, ticket_numbers,
                                        shared_generator, generator_in_use
waiting for each other                  lock_order, din_phil3 (Dijkstra's philosophers), join_under_lock
waiting for what has been               lost_wakeup, wait_without_predicate, event_pulse, hand_made_barrier,
                                        notify_too_few, notify_wrong_waiter, queue_one_sentinel
not waiting, or not long enough         missing_join, sleep_as_join, if_instead_of_while, semaphore_too_many,
                                        timeout_ignored, done_but_alive
======================================  ===============================================================================
"""
