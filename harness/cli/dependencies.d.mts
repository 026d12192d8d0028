type LockedPackage = {
  version?: string;
  optional?: boolean;
  devOptional?: boolean;
  dev?: boolean;
  peer?: boolean;
};

/** Whether a Node runs TypeScript by itself: 22.18, 23.6 and everything newer. */
export function stripsTypes(version: string): boolean;

/**
 * Why an installation does not match its lock file, or undefined when it does.
 *
 * @param lock package-lock.json
 * @param installed node_modules/.package-lock.json, undefined when there is none
 */
export function mismatch(
  lock: { packages?: Record<string, LockedPackage> },
  installed: { packages?: Record<string, { version?: string }> } | undefined,
): string | undefined;
