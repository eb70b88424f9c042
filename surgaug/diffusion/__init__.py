"""Diffusion without the network: noise schedules, parameterisations, loss, guidance and samplers.

The forward process is `x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps`. A noise level is named by its `alpha_bar`,
which falls from 1 (no noise) to about 0 (only noise). Images lie in [-1, 1]. `docs/method.md` has the equations.
"""
