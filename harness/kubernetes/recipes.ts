import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { HarnessError } from '../core/errors.ts';

const RECIPES = fileURLToPath(new URL('../../fixtures/manifests/recipes/', import.meta.url));

/** Issuers of the recipes, which are their audiences as well. */
export const RECIPE_ISSUERS = {
  only: 'https://auth.example.com/realms/prod',
  production: 'https://auth-prod.example.com/realms/main',
  staging: 'https://auth-staging.example.com/realms/main',
} as const;

export interface Replacements {
  namespace: string;
  image: string;
  /** Command of every container. */
  command: string[];
  /** Issuer and audience by the issuer that the recipe has. */
  issuers: Record<string, string>;
}

interface PodTemplateLike {
  containers?: { image?: string; command?: string[] }[];
}

/** The manifests of one recipe as it is written, in order. */
export function readRecipe(name: string): KubernetesObject[] {
  return parseRecipe(name, readFileSync(`${RECIPES}${name}.yaml`, 'utf8'));
}

function parseRecipe(name: string, text: string): KubernetesObject[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw new HarnessError(`the recipe ${name} is not YAML: ${error.message}`);
    }
    return document.toJS() as KubernetesObject;
  });
}

/** The manifests of one recipe (fixtures/manifests/recipes) with these replacements, and nothing else changed. */
export function loadRecipe(name: string, { namespace, image, command, issuers }: Replacements): KubernetesObject[] {
  let text = readFileSync(`${RECIPES}${name}.yaml`, 'utf8');
  for (const [from, to] of Object.entries(issuers)) {
    text = text.replaceAll(from, to);
  }
  const objects = parseRecipe(name, text);
  for (const object of objects) {
    object.metadata = { ...object.metadata, namespace };
    for (const container of containersOf(object)) {
      container.image = image;
      container.command = command;
    }
  }
  return objects;
}

/** The containers of a pod template, however deep it lies. */
function containersOf(object: unknown): NonNullable<PodTemplateLike['containers']> {
  if (typeof object !== 'object' || object === null) {
    return [];
  }
  const { containers } = object as PodTemplateLike;
  return containers ?? Object.values(object).flatMap((value) => (Array.isArray(value) ? [] : containersOf(value)));
}
