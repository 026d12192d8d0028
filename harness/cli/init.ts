import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Argument, type Command } from 'commander';
import { UsageError } from '../core/errors.ts';

const TEMPLATES = fileURLToPath(new URL('../../fixtures/targets/templates/', import.meta.url));

/** The schema by which an editor completes and checks what is written: named in the file's first line. */
const SCHEMA = fileURLToPath(new URL('../targets/target.schema.json', import.meta.url));

/** The roles that there is a commented target file for. */
export function templateRoles(): string[] {
  return readdirSync(TEMPLATES)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort();
}

/** `conformance init`: writes a target file to fill in; never over one that is there. */
export function registerInit(program: Command): void {
  program
    .command('init')
    .description('Write a commented target file for an implementation of a role.')
    .addArgument(new Argument('<role>', 'role of the implementation').choices(templateRoles()))
    .argument('[file]', 'file to write (default: ROLE.yaml)')
    .action((role: string, file: string = `${role}.yaml`) => {
      const to = resolve(file);
      try {
        const schema = relative(dirname(to), SCHEMA);
        const line = `# yaml-language-server: $schema=${schema.startsWith('.') ? schema : `./${schema}`}\n`;
        writeFileSync(to, line + readFileSync(`${TEMPLATES}${role}.yaml`, 'utf8'), { flag: 'wx' });
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        throw new UsageError(
          code === 'EEXIST' ? `${to} already exists; name another file` : `${to} cannot be written: ${message}`,
        );
      }
      process.stdout.write(`Wrote ${to}. Fill it in, then run: npm run conformance -- run --target ${file}\n`);
    });
}
