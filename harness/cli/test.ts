import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import pc from 'picocolors';
import { startVitest } from 'vitest/node';
import { execute } from '../run/execute.ts';
import { isProven } from '../run/matrix.ts';
import { DEFAULT_OPTIONS, Session } from '../run/session.ts';
import { EXIT } from './exit.ts';
import { Console } from './output.ts';
import { progressPrinter } from './progress.ts';
import { renderMatrix, runProof } from './prove.ts';
import { ensureSetUp } from './setup.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What one part of the project's own tests came to. */
interface Tally {
  passed: number;
  failed: number;
}

/** `conformance test`: the project's own tests; `npm test` is this. */
export function registerTest(program: Command): void {
  program
    .command('test')
    .description('the project’s own tests: unit, the suites on the references (Keycloak and embedded), the twins')
    .option('--unit', 'only those that need no container engine', false)
    .action(async ({ unit }: { unit: boolean }) => {
      process.exitCode = await test(unit);
    });
}

async function test(unitOnly: boolean): Promise<number> {
  const tallies: Tally[] = [await unit()];
  if (!unitOnly) {
    await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
    tallies.push(await references('keycloak'), await references('embedded'), await twins());
  }
  const total = tallies.reduce((sum, { passed, failed }) => ({
    passed: sum.passed + passed,
    failed: sum.failed + failed,
  }));
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
  return total.failed === 0 && total.passed > 0 ? EXIT.conformant : EXIT.notConformant;
}

async function unit(): Promise<Tally> {
  process.stderr.write(`${pc.bold('unit tests')}\n`);
  const vitest = await startVitest([], {
    root: ROOT,
    project: ['unit'],
    run: true,
    watch: false,
    reporters: ['default'],
  });
  const modules = vitest.state.getTestModules();
  const cases = modules.flatMap((module) => [...module.children.allTests()]);
  const failed = cases.filter((testCase) => testCase.result().state === 'failed').length;
  const passed = cases.filter((testCase) => testCase.result().state === 'passed').length;
  // A file that does not load, or an error outside of any test, is a failure too.
  const broken =
    modules.filter((module) => module.errors().length > 0).length + vitest.state.getUnhandledErrors().length;
  await vitest.close();
  process.exitCode = 0;
  return { passed, failed: failed + broken };
}

/** Every requirement must pass on the references: one that is not applicable there is never seen to work. */
async function references(identityProvider: 'keycloak' | 'embedded'): Promise<Tally> {
  process.stderr.write(`\n${pc.bold(`the suites on the references, identity provider ${identityProvider}`)}\n`);
  const output = new Console();
  const session = new Session({ ...DEFAULT_OPTIONS, identityProvider }, output.progress);
  const { faults } = await execute(session, (result) => output.result(result));
  const passed = session.results.filter(({ outcome }) => outcome === 'passed').length;
  for (const fault of faults) {
    process.stderr.write(`${pc.magenta('harness fault')} ${fault}\n`);
  }
  return { passed, failed: session.planned.length - passed + faults.length };
}

/** Each twin is a test of its own: it passes when the twin failed exactly where it must. */
async function twins(): Promise<Tally> {
  process.stderr.write(`\n${pc.bold('the twins')}\n`);
  const { matrix, faults } = await runProof([], []);
  process.stdout.write(`\n${renderMatrix(matrix)}`);
  const passed = matrix.twins.filter((twin) => isProven({ twins: [twin], survivors: [] })).length;
  return { passed, failed: matrix.twins.length - passed + faults.length };
}
