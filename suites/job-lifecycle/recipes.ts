import type { KubernetesObject, V1Job, V1Pod } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { Violation } from '../../harness/core/errors.ts';
import { readLog } from '../../harness/kubernetes/logs.ts';
import { describePod } from '../../harness/kubernetes/pod-status.ts';
import { loadRecipe, RECIPE_ISSUERS } from '../../harness/kubernetes/recipes.ts';
import { Recorder } from '../../harness/kubernetes/recorder.ts';
import { START_SECONDS } from '../../harness/probes/pods.ts';
import type { RequirementContext } from '../../harness/run/worker/requirement.ts';
import { ended, jobsPath } from './jobs.ts';

/**
 * What runs in the pods of the recipes: it reads what the recipe gives it, and tells what it found; with `serve`, to
 * who asks.
 */
const READS_ITS_RECIPE = `
const fs = require('node:fs');
const [mode, cache] = process.argv.slice(1);
const look = () => {
  const { provider } = JSON.parse(fs.readFileSync(process.env.OPENCODE_CONFIG_DIR + '/opencode.json', 'utf8'));
  const providers = Object.values(provider).map(({ options: { oauth2 } }) => {
    const path = oauth2.subjectTokenSource.tokenPath ?? '/var/run/secrets/tokens/oauth2/token';
    const { aud, sub } = JSON.parse(Buffer.from(fs.readFileSync(path, 'utf8').split('.')[1], 'base64url'));
    return { issuer: oauth2.issuer, aud, sub };
  });
  if (cache) fs.writeFileSync(cache + '/access-token', 'none');
  return JSON.stringify({ providers });
};
if (mode === 'serve') {
  require('node:http').createServer((request, response) => response.end(request.url === '/healthz' ? 'ok' : look())).listen(8080);
  process.on('SIGTERM', () => process.exit(0));
} else console.log(look());
`;

const RECIPE_SERVICE_ACCOUNT = 'opencode-runner';
export const RECIPE_CACHE = '/root/.cache/opencode-oauth2';
/** Hour of the recipe's CronJob, which runs on weekdays, in UTC. */
const RECIPE_HOUR = 9;
export const HOUR_MS = 3_600_000;

/** The recipe's last slot before an instant. */
export function lastRecipeSlot(now: Date): Date {
  const slot = new Date(now);
  slot.setUTCHours(RECIPE_HOUR, 0, 0, 0);
  while (slot > now || slot.getUTCDay() % 6 === 0) {
    slot.setUTCDate(slot.getUTCDate() - 1);
  }
  return slot;
}

/** Applies recipes in a namespace of their own, and evaluates what runs by them. */
export async function runRecipes(
  t: RequirementContext,
  purpose: string,
  configMap: string,
  providers: (keyof typeof RECIPE_ISSUERS)[],
) {
  const cluster = await t.cluster();
  const { name: namespace } = await t.namespaceFor(purpose, t.preconditions.podSecurity);
  const issuers = Object.fromEntries(
    Object.entries(RECIPE_ISSUERS).map(([name, issuer]) => [issuer, `https://${name}.conformance.test/realms/recipe`]),
  );
  const seen = { signal: t.signal };
  const jobs = await Recorder.open<V1Job>(cluster, jobsPath(namespace), seen);
  const pods = await Recorder.open<V1Pod>(cluster, `/api/v1/namespaces/${namespace}/pods`, {
    ...seen,
    describe: describePod,
  });
  const load = (name: string, ...words: string[]): KubernetesObject[] =>
    loadRecipe(name, {
      namespace,
      image: cluster.workloadImage,
      command: ['node', '--eval', READS_ITS_RECIPE, ...words],
      issuers,
    });
  await cluster.create([...load('serviceaccount'), ...load(configMap)]);
  const expected = {
    providers: providers.map((name) => {
      const issuer = issuers[RECIPE_ISSUERS[name]];
      return { issuer, aud: [issuer], sub: `system:serviceaccount:${namespace}:${RECIPE_SERVICE_ACCOUNT}` };
    }),
  };
  return {
    namespace,
    jobs,
    pods,
    load,
    evaluate(what: string, told: string): void {
      const found = JSON.parse(told) as unknown;
      t.evidence(what, found);
      expect(found, `what the pod of ${what} found`).toEqual(expected);
    },
    /** Waits for a pod of a Job to end well. @throws Violation when one of them fails */
    async ended(job: string): Promise<string> {
      const pod = await pods.until(
        (events) => {
          const own = events.filter(({ object }) => object.metadata?.ownerReferences?.some(({ name }) => name === job));
          const failed = own.find(({ object }) => object.status?.phase === 'Failed');
          if (failed !== undefined) {
            throw new Violation(`a pod of ${job} failed: ${describePod(failed.object)}`);
          }
          return own.find(({ object }) => object.status?.phase === 'Succeeded')?.object.metadata?.name;
        },
        { what: `a pod of ${job} to succeed`, deadlineSeconds: START_SECONDS },
      );
      const { end } = await ended(jobs, job);
      expect(end.type, `the end of ${job}`).toBe('Complete');
      const { body } = await readLog(cluster, namespace, pod);
      return body.toString();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all([jobs.close(), pods.close()]);
    },
  };
}
