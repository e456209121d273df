import { type Construct, Node } from 'constructs'
import type { Config } from '../config.ts'
import type { Bundles } from './bundles.ts'

const KEY = 'openledger:house'

/** What every construct below the stack may ask for: the configuration and the handlers' bundles (none in unit tests). */
export class House {
  readonly config: Config
  readonly bundles: Bundles | undefined

  constructor(config: Config, bundles?: Bundles) {
    this.config = config
    this.bundles = bundles
  }

  static set(scope: Construct, house: House): void {
    Object.defineProperty(scope, KEY, { value: house })
  }

  static of(scope: Construct): House {
    const found = Node.of(scope).scopes.find((candidate) => KEY in candidate) as
      | (Construct & { [KEY]?: House })
      | undefined
    if (!found) throw new Error('no House above this construct: call House.set(stack, ...) first')
    return found[KEY]!
  }
}
