/** Exit codes of the CLI; 64 is `EX_USAGE` of sysexits(3). */
export const EXIT = { conformant: 0, notConformant: 1, harnessError: 2, usage: 64 } as const;
