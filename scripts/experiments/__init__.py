"""Experiments that try to make the three promises fail: nothing harmed, nothing lost, nothing leaked.

All traffic is the loopback's, all that is killed was started here, everything is seeded and bounded in time and
space. What is where:

    traffic     Traffic: many answers at once over HTTP/1.1 and HTTP/2, with strangers beside them; Heard
    machine     processes, locks, disks: what the faults act upon
    faults      FAULTS by name, and `scripts/faults`, which measures each beside the same run without it
    attacks     ATTACKS by name: streams that mean harm
    hostile     `scripts/hostile`, which says what each attack costs the recorder
    bystanders  `scripts/hostile --live`, which says what the readers of other answers notice meanwhile
    chaos       `scripts/chaos`: all at once, by chance, and the audit after it
"""
