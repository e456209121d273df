import type { IPolicyValidationContext, IPolicyValidationPlugin, PolicyValidationPluginReport } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { ACKNOWLEDGED, type Acknowledgement } from './acknowledgements.ts'

/** cdk-nag's AwsSolutions pack; what is not in the table of acknowledgements stops the synth. */
export class AwsSolutions implements IPolicyValidationPlugin {
  readonly name = 'AwsSolutions'
  /** Entries of the table that matched nothing in the last run. */
  unused: Acknowledgement[] = []

  validate(context: IPolicyValidationContext): PolicyValidationPluginReport {
    const { violations } = new AwsSolutionsChecks().validate(context)
    const used = new Set<Acknowledgement>()
    const stands = (rule: string, path: string): boolean => {
      const finding = rule.replace(/^AwsSolutions-/, '')
      const found = ACKNOWLEDGED.find((entry) => entry.finding.test(finding) && entry.path.test(path))
      if (found) used.add(found)
      return found !== undefined
    }
    const open = violations
      .map((violation) => ({
        ...violation,
        violatingResources: violation.violatingResources.filter(
          ({ constructPath }) => !stands(violation.ruleName, constructPath ?? ''),
        ),
      }))
      .filter(({ violatingResources }) => violatingResources.length > 0)
    this.unused = ACKNOWLEDGED.filter((entry) => !used.has(entry))
    return { success: open.length === 0, violations: open }
  }
}
