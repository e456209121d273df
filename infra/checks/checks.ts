import { type App, Validations } from 'aws-cdk-lib'
import type { Bundles } from '../constructs/bundles.ts'
import { AwsSolutions } from './aws-solutions.ts'
import { Budgets } from './budgets.ts'

/** Every synth passes these, or stops and says where and why. */
export const addChecks = (app: App, bundles?: Pick<Bundles, 'bytes'>): AwsSolutions => {
  const solutions = new AwsSolutions()
  Validations.of(app).addPlugins(solutions, new Budgets(bundles?.bytes ?? {}))
  return solutions
}
