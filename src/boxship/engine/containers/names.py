"""Container names: what is allowed, and random ones for containers that were given none."""

import re
import secrets
from collections.abc import Callable

from boxship.errors import InvalidArgumentError

_ALLOWED = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_ADJECTIVES = (
    "able agile amber ample apt arctic autumn balmy bold brave breezy bright brisk calm candid "
    "careful cheery clear clever coastal copper cosy crisp curious daring deft dewy diligent "
    "eager early earnest easy elegant emerald even exact fair faithful fast fine firm fleet fluent "
    "fond frank free fresh friendly frosty gentle giant glad golden grand green handy hardy hearty "
    "honest hopeful humble idle jolly just keen kind lasting lean light lively lofty loyal lucid "
    "lucky lunar mellow merry mild mindful modest neat nimble noble northern novel open orderly "
    "patient placid plain playful polite prompt proud quick quiet rapid ready robust rosy rustic "
    "sage sandy serene sharp silent silver simple sincere sleek smooth snowy sober solar solid "
    "sound southern spare spry steady stellar still stout sturdy subtle sunny sure swift tidy "
    "tranquil true trusty upbeat upright urban vast vivid warm wary western whole wide windy wise "
    "witty young zesty"
)

_SURNAMES = (
    "abel ampere apgar archimedes arendt avogadro backus bassi beaufort becquerel bell bessel "
    "blackwell bode bohr boole bose brahe braille brown burnell byron cannon cantor carson "
    "cauchy cerf chandra clarke copernicus curie darwin davy descartes dijkstra dirac drebbel "
    "earhart eckert edison einstein engelbart eratosthenes erdos euclid euler faraday fermat "
    "fermi feynman fibonacci fleming foucault franklin fulton galileo galois galvani gauss "
    "germain gibbs godel goodall gosling gutenberg haber halley hamilton harrison hawking "
    "heaviside hermite herschel hertz hilbert hodgkin holberton hooke hopper hubble humboldt "
    "huygens hypatia jackson jacobi jemison jenner joule kahn kelvin kepler khorana kirchhoff "
    "knuth kovalevskaya lagrange lamarr landau laplace lavoisier leavitt leibniz linnaeus "
    "lister lorenz lovelace lyell magellan marconi maxwell mayer mccarthy mclean meitner mendel "
    "mendeleev mercator mirzakhani mobius montgolfier moore morse napier nansen newcomen newton "
    "nightingale nobel noether nyquist oersted ohm papin pappus pascal pasteur pauli payne penrose "
    "planck poincare polo poisson priestley ptolemy pythagoras raman ramanujan rayleigh riemann "
    "ritchie roemer rubin rutherford sagan salk savery seaborg shannon siemens somerville "
    "stokes swan tesla thales thompson torricelli turing tycho venn volta wallace watt wegener "
    "wiles wilkes wright wu yalow yonath zuse"
)

_TRIES = 8


def check_name(name: str) -> str:
    """Give the name without its leading slash, when it is one a container may have.

    Raises:
        InvalidArgumentError: Docker's text, as clients show it.
    """
    bare = name.removeprefix("/")
    if _ALLOWED.fullmatch(bare) is None:
        raise InvalidArgumentError(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return bare


def random_name(taken: Callable[[str], bool]) -> str:
    """A name like `quiet_noether` that is free; a digit is added when luck runs out."""
    name = _pair()
    for _ in range(_TRIES):
        if not taken(name):
            return name
        name = _pair()
    while taken(name):
        name += str(secrets.randbelow(10))
    return name


def _pair() -> str:
    return f"{secrets.choice(_ADJECTIVES.split())}_{secrets.choice(_SURNAMES.split())}"
