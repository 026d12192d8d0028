import { expect, test } from 'vitest';
import { withoutAssignedIds } from './uid-range.ts';

test('the ids that a namespace assigned are left out of what it admitted, and no others', () => {
  const spec = {
    securityContext: { runAsNonRoot: true, runAsUser: 1_000_600_000, fsGroup: 1_000_600_000 },
    containers: [{ securityContext: { runAsUser: 1_000_600_000 } }, { securityContext: { runAsUser: 1000 } }],
  };
  expect(withoutAssignedIds(spec, 1_000_600_000)).toEqual({
    securityContext: { runAsNonRoot: true },
    containers: [{ securityContext: {} }, { securityContext: { runAsUser: 1000 } }],
  });
  expect(withoutAssignedIds(spec, undefined)).toBe(spec);
});
